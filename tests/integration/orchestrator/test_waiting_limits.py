"""Jobs that wait for others, and jobs that will not wait for ever."""

import httpx
import pytest

from shared.contracts.work import Outcome
from shared.kit.ids import new_id
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import TRAINING, Mesh
from tests.waiting import eventually


def _succeed(mesh: Mesh, job_id: str) -> None:
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(job_id, "succeeded")


def test_a_job_fails_when_it_waited_too_long_for_its_first_attempt(mesh: Mesh) -> None:
    mesh.worker.is_silent = True
    job_id = mesh.submit(queueTimeoutS=1)
    patient = mesh.submit()
    failed = mesh.until(job_id, "failed")
    assert (failed["failure"]["reason"], failed["attempt"]) == ("queue_timeout", 0)
    assert mesh.history(job_id) == ["queued", "failed"]
    eventually(lambda: mesh.stream.phases(job_id), lambda told: told == ["queued", "failed"])
    assert mesh.job(patient)["status"] == "queued"


def test_a_job_that_started_in_time_is_not_timed_out_in_the_queue(mesh: Mesh) -> None:
    job_id = mesh.submit(queueTimeoutS=1)
    mesh.until(job_id, "running")
    mesh.worker.is_full = True
    mesh.worker.end(f"{job_id}.1", Outcome.PREEMPTED)
    eventually(lambda: len(mesh.worker.starts) > 2)
    mesh.worker.is_full = False
    mesh.until(job_id, "running")


def test_settings_bound_jobs_that_say_nothing(mesh: Mesh) -> None:
    mesh.worker.is_silent = True
    mesh.settings = mesh.settings.model_copy(update={"queue_timeout_s": 1.0})
    mesh.restart()
    job_id, patient = mesh.submit(), mesh.submit(queueTimeoutS=600)
    assert mesh.job(job_id)["scheduling"]["queueTimeoutS"] == 1.0
    mesh.until(job_id, "failed")
    assert mesh.job(patient)["status"] == "queued"


def test_a_job_waits_for_those_it_depends_on(mesh: Mesh) -> None:
    mesh.worker.slots = 4
    first, second = mesh.submit(), mesh.submit()
    last = mesh.submit(dependsOn=[first, second])
    _succeed(mesh, first)
    queue = eventually(lambda: mesh.job(last)["queue"], lambda queue: second in queue["why"])
    assert (queue["waitingFor"], queue["position"]) == ("dependencies", None)
    _succeed(mesh, second)
    mesh.until(last, "running")
    assert mesh.job(last)["scheduling"]["dependsOn"] == [first, second]


def test_a_job_whose_dependency_did_not_succeed_fails_and_so_do_those_behind_it(mesh: Mesh) -> None:
    first = mesh.submit()
    second = mesh.submit(dependsOn=[first])
    third = mesh.submit(dependsOn=[second])
    mesh.until(first, "running")
    mesh.ask(first, "stop")
    failed = mesh.until(third, "failed")
    assert failed["failure"]["reason"] == "dependency_failed"
    assert second in failed["why"]
    assert mesh.until(second, "failed")["why"] == f"dependency_failed: {first}, which it depends on, did not succeed"
    assert [f"{job_id}.1" in mesh.worker.starts for job_id in (second, third)] == [False, False]


def test_a_job_may_depend_on_one_that_is_over(mesh: Mesh) -> None:
    first = mesh.submit()
    _succeed(mesh, first)
    mesh.until(mesh.submit(dependsOn=[first]), "running")


def test_waiting_for_others_survives_a_restart_and_a_pause(mesh: Mesh) -> None:
    mesh.worker.slots = 2
    first = mesh.submit()
    second = mesh.submit(dependsOn=[first])
    mesh.until(first, "running")
    assert mesh.ask(second, "pause").json()["status"] == "paused"
    assert mesh.ask(second, "resume").json()["status"] == "queued"
    mesh.restart()
    eventually(lambda: mesh.job(second)["queue"]["waitingFor"], lambda waits_for: waits_for == "dependencies")
    assert f"{second}.1" not in mesh.worker.starts
    _succeed(mesh, first)
    mesh.until(second, "running")


@pytest.mark.parametrize("named", [[new_id("job")], ["nonsense"]])
def test_a_job_can_depend_only_on_jobs_that_exist(http: httpx.Client, named: list[str]) -> None:
    answer = http.post("/api/training/jobs", json={**TRAINING, "dependsOn": named})
    assert answer.status_code in {404, 422}
    assert answer.json()["error"]["param"].startswith("dependsOn")
