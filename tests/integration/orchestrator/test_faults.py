"""What a worker, a stream or this very process can do wrong, and what a job makes of it."""

import httpx

from shared.contracts.work import Outcome
from shared.kit.auth import ServiceTokens
from shared.kit.errors import Conflict
from tests.conftest import SERVICE_SECRET
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually

ENGINE_KILLED = {
    "failure_class": "infrastructure", "reason": "engine_killed", "message": "signal 9", "retryable": True,
}  # fmt: skip
USERS_FAULT = {"failure_class": "user", "reason": "bad_rows", "message": "row 3 is empty", "retryable": True}


def test_a_killed_engine_gets_a_new_attempt_that_resumes(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.FAILED, failure=ENGINE_KILLED)
    eventually(lambda: mesh.job(job_id), lambda job: job["attempt"] == 2 and job["status"] == "running")
    assert [(a["cause"], a["outcome"]) for a in mesh.attempts(job_id)] == [("first", "failed"), ("retry", None)]
    assert mesh.worker.specs[f"{job_id}.2"].cause == "retry"
    assert mesh.history(job_id) == ["queued", "starting", "running", "queued", "starting", "running"]


def test_retries_end_when_the_budget_is_spent(mesh: Mesh) -> None:
    job_id = mesh.submit(maxRetries=1)
    for number in (1, 2):
        eventually(lambda: mesh.worker.views.get(f"{job_id}.{number}"))  # noqa: B023
        mesh.worker.end(f"{job_id}.{number}", Outcome.FAILED, failure=ENGINE_KILLED)
    failed = mesh.until(job_id, "failed")
    assert failed["failure"]["reason"] == "engine_killed"
    assert "after 1 of 1 retries" in failed["why"]


def test_a_users_fault_is_never_tried_again(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.FAILED, failure=USERS_FAULT)
    assert mesh.until(job_id, "failed")["attempt"] == 1


def test_a_failure_is_passed_on_whole_and_its_suggestion_makes_the_next_job(mesh: Mesh) -> None:
    job_id = mesh.submit(batchSize=8)
    mesh.until(job_id, "running")
    told = {
        **USERS_FAULT, "reason": "out_of_memory_gpu",
        "evidence": [{"source": "exit", "text": "ended with code 1", "figures": {"code": 1}}],
        "suggestion": {"advice": "halve batchSize", "patch": {"batchSize": 4, "gradientAccumulationSteps": 2}},
    }  # fmt: skip
    mesh.worker.end(f"{job_id}.1", Outcome.FAILED, failure=told)
    failure = mesh.until(job_id, "failed")["failure"]
    assert failure == mesh.attempts(job_id)[0]["failure"]
    assert failure["suggestion"] == told["suggestion"]
    assert failure["evidence"][0]["figures"] == {"code": 1}
    answer = mesh.http.post(f"/api/jobs/{job_id}/retry", params={"suggested": True})
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert made["retryOf"] == job_id
    assert made["spec"] == {**mesh.job(job_id)["spec"], "batchSize": 4, "gradientAccumulationSteps": 2}


def test_a_retry_without_anything_to_change_says_so(mesh: Mesh) -> None:
    job_id = mesh.submit()
    assert mesh.http.post(f"/api/jobs/{job_id}/stop").status_code == 202
    stopped = mesh.until(job_id, "stopped")
    assert (stopped["failure"]["class"], stopped["failure"]["reason"]) == ("user", "stopped_by_user")
    answer = mesh.http.post(f"/api/jobs/{job_id}/retry", params={"suggested": True})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "no_suggestion", "suggested")


def test_preemption_costs_no_retry(mesh: Mesh) -> None:
    job_id = mesh.submit(maxRetries=0)
    for number in (1, 2, 3):
        eventually(lambda: mesh.worker.views.get(f"{job_id}.{number}"))  # noqa: B023
        mesh.worker.end(f"{job_id}.{number}", Outcome.PREEMPTED)
    eventually(lambda: mesh.job(job_id), lambda job: job["attempt"] == 4 and job["status"] == "running")
    assert mesh.attempts(job_id)[3]["cause"] == "preempted"


def test_a_silent_worker_never_changes_a_phase(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.is_silent = True
    seen = eventually(lambda: mesh.job(job_id), lambda job: job["unreachableSince"] is not None)
    assert seen["status"] == "running"
    assert "does not answer" in seen["why"]
    mesh.worker.is_silent = False
    back = eventually(lambda: mesh.job(job_id), lambda job: job["unreachableSince"] is None)
    assert (back["status"], back["attempt"]) == ("running", 1)
    assert mesh.worker.starts == [f"{job_id}.1"]
    assert mesh.history(job_id) == ["queued", "starting", "running"]


def test_a_start_whose_answer_was_lost_is_not_a_second_run(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.loses_answers = True
    mesh.worker.end(f"{job_id}.1", Outcome.FAILED, failure=ENGINE_KILLED)
    mesh.worker.loses_answers = False
    eventually(lambda: mesh.worker.views.get(f"{job_id}.2"))
    assert mesh.until(job_id, "running")["attempt"] == 2


def test_a_worker_without_room_sends_the_job_back_to_the_queue(mesh: Mesh) -> None:
    mesh.worker.is_full = True
    job_id = mesh.submit()
    eventually(lambda: len(mesh.worker.starts) > 1)
    mesh.worker.is_full = False
    running = mesh.until(job_id, "running")
    *refused, last = mesh.attempts(job_id)
    assert {attempt["outcome"] for attempt in refused} == {"refused"}
    assert (last["number"], last["outcome"]) == (running["attempt"], None)


def test_a_worker_that_refuses_for_good_fails_the_job(mesh: Mesh) -> None:
    mesh.worker.refuses_with = Conflict("another body", code="attempt_differs")
    failed = mesh.until(mesh.submit(), "failed")
    assert failed["failure"]["class"] == "platform"
    assert failed["failure"]["reason"] == "worker_refused"


def test_an_attempt_that_its_worker_lost_is_tried_again(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.forget(f"{job_id}.1")
    eventually(lambda: mesh.job(job_id), lambda job: job["attempt"] == 2 and job["status"] == "running")
    assert mesh.attempts(job_id)[0]["outcome"] == "worker_lost"


def test_a_restart_in_the_middle_goes_on_with_the_same_attempt(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.stop()
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.restart()
    assert mesh.until(job_id, "succeeded")["attempt"] == 1
    assert mesh.worker.starts == [f"{job_id}.1"]
    eventually(lambda: mesh.stream.phases(job_id), lambda told: told == mesh.history(job_id))


def test_a_hint_wakes_the_loop_before_its_time(mesh: Mesh) -> None:
    mesh.settings = mesh.settings.model_copy(update={"look_interval_s": 30.0})
    mesh.restart()
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    assert mesh.http.post("/internal/hints", json={"job_id": job_id}).status_code == 403
    token = service_token()
    answer = httpx.post(
        f"{mesh.url}/internal/hints", json={"job_id": job_id}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 202
    mesh.until(job_id, "succeeded", within_s=5)


def service_token() -> str:
    """What the training service would show."""
    return ServiceTokens("training", SERVICE_SECRET).issue("orchestrator")
