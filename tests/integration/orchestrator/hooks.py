"""What tests of webhooks ask of a mesh."""

from typing import Any

from shared.contracts.work import Outcome
from tests.fakes.receiver import Receiver
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually

EVERYTHING = ["job.succeeded", "job.failed", "job.stopped", "job.phase_changed"]


def add(mesh: Mesh, receiver: Receiver, *events: str, **fields: object) -> dict[str, Any]:
    """A webhook to the receiver, which learns its secret."""
    body = {"url": receiver.url, "events": list(events) or EVERYTHING, **fields}
    answer = mesh.http.post("/api/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    receiver.secrets.append(answer.json()["secret"])
    return dict(answer.json())


def succeed(mesh: Mesh) -> str:
    """A job that ran and succeeded."""
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(job_id, "succeeded")
    return job_id


def hears(receiver: Receiver, job_id: str, status: str) -> None:
    """Wait until this is the newest that the receiver heard of the job."""
    eventually(lambda: receiver.told(job_id), lambda told: told[-1:] == [status])


def deliveries(mesh: Mesh, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    """Its messages, newest first."""
    answer = mesh.http.get(f"/api/webhooks/{webhook['webhookId']}/deliveries", params={"limit": 200})
    return list(answer.json()["data"])


def all_delivered(mesh: Mesh, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    """Its messages, once every one arrived."""
    return eventually(
        lambda: deliveries(mesh, webhook), lambda found: {one["status"] for one in found} == {"delivered"}, within_s=30
    )


def standing(mesh: Mesh, webhook: dict[str, Any]) -> dict[str, Any]:
    """The webhook as it is now."""
    return dict(mesh.http.get(f"/api/webhooks/{webhook['webhookId']}").json())


def audited(mesh: Mesh) -> list[tuple[str, str]]:
    """Who did what, oldest first."""
    return [(one["who"], one["action"]) for one in reversed(mesh.http.get("/api/audit").json()["data"])]
