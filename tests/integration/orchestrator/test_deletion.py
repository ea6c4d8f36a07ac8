"""A deleted job is gone at once for users, and in time everywhere, whoever dies or is silent meanwhile."""

from typing import Any

import httpx
import pytest

from orchestrator.domain.deletion import Deletion
from shared.contracts.work import Outcome
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.unheard import unheard_commits
from tests.waiting import eventually


def delete(mesh: Mesh, job_id: str, kind: str = "") -> httpx.Response:
    return mesh.http.delete(f"/api/{kind}jobs/{job_id}")


def stopped(mesh: Mesh) -> str:
    """A job that ran and was stopped."""
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    eventually(lambda: mesh.stream.phases(job_id), lambda told: told[-1:] == ["stopped"])
    return job_id


def pending(mesh: Mesh) -> list[Deletion]:
    """Deletions that are not finished."""
    far = mesh.wiring.clock.now().replace(year=2999)
    return mesh.wiring.units.read(lambda uow: uow.deletions.due(far, 10))


def refusal(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 409, answer.text
    return dict(answer.json()["error"])


def test_a_job_that_is_over_is_deleted_with_all_it_has(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    assert delete(mesh, job_id).status_code == 204
    for path in ("", "/history", "/attempts", "/events", "/logs", "/artifacts"):
        assert mesh.http.get(f"/api/jobs/{job_id}{path}").status_code == 404
    assert mesh.http.get("/api/jobs").json()["data"] == []
    eventually(lambda: pending(mesh), lambda left: left == [])
    assert set(mesh.worker.removed) == {f"{job_id}.1"}
    assert set(mesh.stream.removed) == {f"job:{job_id}"}
    assert mesh.worker.views == {}
    again = delete(mesh, job_id)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "job_not_found")


def test_the_audit_keeps_who_deleted_what(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    spec = mesh.job(job_id)["spec"]
    delete(mesh, job_id)
    delete(mesh, job_id)
    newest, second, *_ = mesh.http.get("/api/audit").json()["data"]
    assert (newest["who"], newest["action"], newest["subject"]) == ("admin", "delete_job", f"job:{job_id}")
    assert (newest["before"]["status"], newest["before"]["spec"], newest["after"]) == ("stopped", spec, None)
    assert second["action"] != "delete_job"


def test_a_job_that_is_not_over_stays_and_the_refusal_says_what_to_do(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    told = refusal(delete(mesh, job_id))
    assert (told["code"], told["param"]) == ("job_running", "jobId")
    assert "stop it first" in told["message"]
    assert mesh.job(job_id)["status"] == "running"


def test_a_job_whose_model_is_registered_stays(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    made = mesh.until(job_id, "succeeded")["result"]["model"]["reference"]
    told = refusal(delete(mesh, job_id))
    assert told["code"] == "job_made_model"
    assert made in told["message"]


def test_a_job_that_another_waits_for_stays_until_that_is_over(mesh: Mesh) -> None:
    first = mesh.submit()
    mesh.until(first, "running")
    second = mesh.submit(dependsOn=[first])
    mesh.ask(second, "pause")
    mesh.ask(first, "stop")
    mesh.until(first, "stopped")
    told = refusal(delete(mesh, first))
    assert told["code"] == "job_needed"
    assert second in told["message"]
    mesh.ask(second, "stop")
    mesh.until(second, "stopped")
    assert delete(mesh, first).status_code == 204


def test_a_job_of_another_kind_is_not_found(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    assert delete(mesh, job_id, "analysis/").status_code == 404
    assert delete(mesh, job_id, "training/").status_code == 204


def test_a_retry_keeps_the_name_of_the_job_that_was_deleted(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    retried = mesh.ask(job_id, "retry").json()["jobId"]
    assert delete(mesh, job_id).status_code == 204
    assert mesh.until(retried, "running")["retryOf"] == job_id


def test_a_silent_worker_and_a_silent_log_delay_a_deletion_and_lose_nothing(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    mesh.worker.is_silent = mesh.stream.is_silent = True
    assert delete(mesh, job_id).status_code == 204
    tried = eventually(lambda: pending(mesh), lambda left: left[0].tries > 1)
    assert (tried[0].has_log, dict(tried[0].attempts)) == (True, {f"{job_id}.1": "training"})
    mesh.stream.is_silent = False
    eventually(lambda: pending(mesh), lambda left: not left[0].has_log)
    assert mesh.worker.removed == []
    mesh.worker.is_silent = False
    eventually(lambda: pending(mesh), lambda left: left == [], within_s=20)
    assert mesh.worker.removed == [f"{job_id}.1"]


def test_an_orchestrator_that_died_between_the_steps_finishes_them_in_its_next_life(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    mesh.worker.is_silent = True
    delete(mesh, job_id)
    eventually(lambda: pending(mesh), lambda left: not left[0].has_log)
    mesh.stop()
    mesh.worker.is_silent = False
    mesh.restart()
    eventually(lambda: pending(mesh), lambda left: left == [], within_s=20)
    assert mesh.worker.removed == [f"{job_id}.1"]


def test_an_answer_that_was_lost_is_asked_for_again(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    mesh.worker.loses_answers = True
    delete(mesh, job_id)
    eventually(lambda: len(mesh.worker.removed) > 1)
    assert pending(mesh)[0].attempts == {f"{job_id}.1": "training"}
    mesh.worker.loses_answers = False
    eventually(lambda: pending(mesh), lambda left: left == [], within_s=20)


def test_what_a_forgotten_worker_had_is_gone_with_its_host(mesh: Mesh) -> None:
    job_id = stopped(mesh)
    mesh.worker.is_silent = True
    delete(mesh, job_id)
    eventually(lambda: pending(mesh), lambda left: left[0].tries > 0)
    assert mesh.http.post("/api/workers/training/forget").status_code == 200
    eventually(lambda: pending(mesh), lambda left: left == [], within_s=20)


@pytest.mark.parametrize("statement", ["DELETE FROM jobs"])
def test_a_deletion_whose_commit_was_unheard_is_one_deletion(mesh: Mesh, statement: str) -> None:
    job_id = stopped(mesh)
    with unheard_commits(mesh.wiring.database.engine, statement) as struck:
        assert delete(mesh, job_id).status_code == 204
    assert len(struck) == 1
    told = [one for one in mesh.http.get("/api/audit").json()["data"] if one["action"] == "delete_job"]
    assert len(told) == 1


def test_an_event_that_was_still_to_be_sent_is_sent_to_nobody(mesh: Mesh) -> None:
    mesh.stream.is_silent = True
    job_id = mesh.submit()
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    assert delete(mesh, job_id).status_code == 204
    mesh.stream.is_silent = False
    eventually(lambda: pending(mesh), lambda left: left == [], within_s=20)
    assert job_id not in "".join(mesh.stream.events_of)
