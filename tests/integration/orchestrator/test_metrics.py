"""What Prometheus is told about jobs, the queue and the outbox."""

import re

from shared.contracts.work import Outcome
from tests.fakes.receiver import Receiver
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually

FAILED = {"failure_class": "user", "reason": "no_rows", "message": "the data set has no rows"}


def value(mesh: Mesh, series: str) -> float:
    """A series of /metrics; 0 when it is not there."""
    mesh.wiring.census.take()
    page = mesh.http.get("/metrics")
    assert page.status_code == 200
    found = re.search(rf"^{re.escape(series)} (\S+)$", page.text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_jobs_are_counted_by_phase_and_the_queue_by_service(mesh: Mesh) -> None:
    first = mesh.submit()
    mesh.until(first, "running")
    waiting = [mesh.submit() for _ in range(3)]
    assert value(mesh, 'mesh_jobs{kind="training",phase="running"}') == 1
    assert value(mesh, 'mesh_jobs{kind="training",phase="queued"}') == 3
    assert value(mesh, 'mesh_queue_depth{service="training"}') == 3
    assert value(mesh, 'mesh_queue_depth{service="analyzer"}') == 0
    assert value(mesh, 'mesh_queue_oldest_seconds{service="training"}') > 0
    for job_id in waiting:
        mesh.ask(job_id, "stop")
    assert value(mesh, 'mesh_queue_depth{service="training"}') == 0
    assert value(mesh, 'mesh_queue_oldest_seconds{service="training"}') == 0


def test_ended_attempts_are_counted_by_whose_fault_it_was(mesh: Mesh) -> None:
    kinds = {
        "succeeded": 'failure_class="none",kind="training",outcome="succeeded",reason="none"',
        "failed": 'failure_class="user",kind="training",outcome="failed",reason="no_rows"',
    }
    before = {name: value(mesh, f"mesh_attempts_ended_total{{{labels}}}") for name, labels in kinds.items()}
    moves = value(mesh, 'mesh_job_moves_total{kind="training",to="failed"}')
    good, bad = mesh.submit(), mesh.submit()
    mesh.until(good, "running")
    mesh.worker.end(f"{good}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(bad, "running")
    mesh.worker.end(f"{bad}.1", Outcome.FAILED, failure=FAILED)
    mesh.until(bad, "failed")
    for name, labels in kinds.items():
        assert value(mesh, f"mesh_attempts_ended_total{{{labels}}}") == before[name] + 1
    assert value(mesh, 'mesh_job_moves_total{kind="training",to="failed"}') == moves + 1
    assert value(mesh, "mesh_reconciler_turn_seconds_count") > 0


def test_events_that_the_log_does_not_take_pile_up_in_sight(mesh: Mesh) -> None:
    eventually(lambda: value(mesh, "mesh_outbox_unsent_events"), lambda count: count == 0)
    mesh.stream.is_silent = True
    mesh.submit()
    eventually(lambda: value(mesh, "mesh_outbox_unsent_events"), lambda count: count > 0)
    eventually(lambda: value(mesh, "mesh_outbox_oldest_seconds"), lambda age: age > 0)
    mesh.stream.is_silent = False
    eventually(lambda: value(mesh, "mesh_outbox_unsent_events"), lambda count: count == 0)


def test_messages_that_a_receiver_does_not_take_pile_up_in_sight(open_mesh: Mesh, receiver: Receiver) -> None:
    tries = {outcome: f'mesh_webhook_tries_total{{outcome="{outcome}"}}' for outcome in ("pending", "delivered")}
    before = {outcome: value(open_mesh, series) for outcome, series in tries.items()}
    receiver.status = lambda _: 500
    body = {"url": receiver.url, "events": ["job.phase_changed"]}
    assert open_mesh.http.post("/api/webhooks", json=body).status_code == 201
    open_mesh.worker.slots = 0
    open_mesh.submit()
    eventually(lambda: value(open_mesh, tries["pending"]), lambda count: count > before["pending"])
    assert value(open_mesh, "mesh_webhook_pending_messages") == 1
    assert value(open_mesh, "mesh_webhook_oldest_seconds") > 0
    receiver.status = lambda _: 204
    eventually(lambda: value(open_mesh, "mesh_webhook_pending_messages"), lambda count: count == 0)
    assert value(open_mesh, tries["delivered"]) == before["delivered"] + 1
