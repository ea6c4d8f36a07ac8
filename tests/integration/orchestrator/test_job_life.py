"""A job from submission to its end, over the real API, database and reconciler."""

import httpx

from shared.contracts.work import Outcome, Progress
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import TRAINING, Mesh
from tests.waiting import eventually


def test_a_job_goes_from_submission_to_a_model_version(mesh: Mesh) -> None:
    job_id = mesh.submit(outputName="mine")
    mesh.until(job_id, "running")
    mesh.worker.run(f"{job_id}.1", Progress(step=5, total_steps=10, metrics={"train_loss": 0.5}))
    seen = eventually(lambda: mesh.job(job_id), lambda job: job["currentStep"] == 5)
    assert (seen["progress"], seen["totalSteps"], seen["metrics"]) == (0.5, 10, {"train_loss": 0.5})
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    done = mesh.until(job_id, "succeeded")
    assert done["progress"] == 1.0
    assert done["endedAt"] is not None
    assert done["result"]["model"]["reference"] == "mine@1"
    model = mesh.http.get("/api/models/mine").json()
    assert (model["base"], model["adapter"], model["jobId"]) == ("c" * 64, "b" * 64, job_id)
    assert mesh.history(job_id) == ["queued", "starting", "running", "succeeded"]
    eventually(lambda: mesh.stream.phases(job_id), lambda told: told == mesh.history(job_id))


def test_the_answer_names_the_job_and_where_to_find_it(http: httpx.Client) -> None:
    answer = http.post("/api/training/jobs", json=TRAINING)
    body = answer.json()
    assert answer.status_code == 202
    assert body["status"] == "queued"
    assert answer.headers["location"] == f"/api/jobs/{body['jobId']}"
    assert body["spec"]["outputName"] == "base-sft-lora"
    assert http.get(answer.headers["location"]).json()["jobId"] == body["jobId"]


def test_snake_case_is_taken_too(http: httpx.Client) -> None:
    answer = http.post("/api/training/jobs", json={"model_name": "base", "dataset": "facts", "max_steps": 3})
    assert answer.status_code == 202
    assert answer.json()["spec"]["maxSteps"] == 3


def test_every_kind_reaches_its_own_worker(mesh: Mesh) -> None:
    analysis = mesh.http.post("/api/analysis/jobs", json={"dataset": "facts", "modelName": "base"}).json()["jobId"]
    evaluation = mesh.http.post("/api/evaluation/jobs", json={"dataset": "facts", "modelName": "base"}).json()["jobId"]
    mesh.until(analysis, "running")
    mesh.until(evaluation, "running")
    assert mesh.http.get(f"/api/analysis/jobs/{analysis}").status_code == 200
    assert mesh.http.get(f"/api/training/jobs/{analysis}").status_code == 404
    assert mesh.worker.starts == []


def test_jobs_wait_in_line_and_say_why(mesh: Mesh) -> None:
    first = mesh.submit()
    mesh.until(first, "running")
    second, third = mesh.submit(), mesh.submit()
    waits = eventually(lambda: mesh.job(third)["why"], lambda why: "1 of 1 in use" in why)
    assert waits == "waiting for a free training slot: 1 of 1 in use; 1 job goes first"
    mesh.worker.end(f"{first}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(second, "running")
    assert mesh.job(third)["status"] == "queued"


def test_success_without_a_model_is_a_failure_of_the_platform(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED)
    failed = mesh.until(job_id, "failed")
    assert failed["failure"]["reason"] == "no_model_made"


def test_lists_filter_and_page_by_cursor(mesh: Mesh) -> None:
    made = [mesh.submit() for _ in range(5)]
    first = mesh.http.get("/api/training/jobs", params={"limit": 3}).json()
    assert [job["jobId"] for job in first["data"]] == made[:1:-1]
    rest = mesh.http.get("/api/training/jobs", params={"limit": 3, "cursor": first["nextCursor"]}).json()
    assert [job["jobId"] for job in rest["data"]] == made[1::-1]
    assert rest["hasMore"] is False
    assert mesh.http.get("/api/jobs", params={"status": "succeeded"}).json()["data"] == []
    assert mesh.http.get("/api/analysis/jobs").json()["data"] == []
    assert mesh.http.get("/api/jobs", params={"project": "other"}).json()["data"] == []


def test_logs_events_and_artifacts_are_passed_on(mesh: Mesh) -> None:
    job_id = mesh.submit()
    assert mesh.http.get(f"/api/training/jobs/{job_id}/artifacts").json() == {"data": []}
    mesh.until(job_id, "running")
    artifact = {"name": "adapter", "sha256": "b" * 64, "size": 3, "is_tree": True}
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL, artifacts=[artifact])
    mesh.until(job_id, "succeeded")
    listed = mesh.http.get(f"/api/training/jobs/{job_id}/artifacts").json()["data"]
    assert [item["name"] for item in listed] == ["adapter"]
    assert mesh.http.get(f"/api/training/jobs/{job_id}/logs").json()["text"] == f"output of {job_id}.1\n"
    assert mesh.http.get(f"/api/training/jobs/{job_id}/logs", params={"attempt": 2}).status_code == 404
    page = eventually(
        lambda: mesh.http.get(f"/api/training/jobs/{job_id}/events").json(), lambda page: len(page["data"]) == 4
    )
    assert [event["seq"] for event in page["data"]] == [1, 2, 3, 4]
    assert page["has_more"] is False


def test_a_paused_job_resumes_in_a_new_attempt(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    assert mesh.ask(job_id, "pause").json()["status"] in {"pausing", "paused"}
    mesh.until(job_id, "paused")
    assert mesh.ask(job_id, "resume").status_code == 202
    mesh.until(job_id, "running")
    assert [(a["number"], a["cause"]) for a in mesh.attempts(job_id)] == [(1, "first"), (2, "resume")]


def test_a_users_retry_is_a_new_job_with_the_same_inputs(mesh: Mesh) -> None:
    job_id = mesh.submit()
    assert mesh.ask(job_id, "retry").status_code == 409
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    again = mesh.ask(job_id, "retry")
    assert again.status_code == 202
    assert again.json()["retryOf"] == job_id
    assert again.json()["spec"] == mesh.job(job_id)["spec"]


def test_a_full_queue_refuses_politely(mesh: Mesh) -> None:
    mesh.worker.is_silent = True
    mesh.settings = mesh.settings.model_copy(update={"max_queued_jobs": 2})
    mesh.restart()
    mesh.submit()
    mesh.submit()
    refused = mesh.http.post("/api/training/jobs", json=TRAINING)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "queue_full"
    assert int(refused.headers["retry-after"]) >= 1


def test_lines_of_a_log_are_searched(mesh: Mesh) -> None:
    job_id = mesh.submit()
    assert mesh.http.get(f"/api/jobs/{job_id}/logs/lines").json()["data"] == []
    mesh.until(job_id, "running")
    found = mesh.http.get(
        f"/api/training/jobs/{job_id}/logs/lines", params={"search": "OUTPUT", "level": "info"}
    ).json()
    assert found["data"] == [{"offset": 0, "level": "info", "text": f"output of {job_id}.1"}]
    assert mesh.http.get(f"/api/jobs/{job_id}/logs/lines", params={"level": "error"}).json()["data"] == []
    for query, param in (({"level": "loud"}, "level"), ({"search": "x" * 201}, "search"), ({"limit": 0}, "limit")):
        refused = mesh.http.get(f"/api/jobs/{job_id}/logs/lines", params=query)
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)
    assert mesh.http.get(f"/api/jobs/{job_id}/logs/lines", params={"attempt": 7}).status_code == 404
