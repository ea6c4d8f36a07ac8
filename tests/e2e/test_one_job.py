"""From one REST call to a trained adapter: five processes, the real LLaMA-Factory."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from imts import start
from tests.databases import fresh_schema, required_url
from tests.mesh import KEY, Mesh, running_mesh
from tests.stories import add_example, assert_gapless, events, losses, metric_steps, stream_to_end, submit, wait_for
from tests.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("mysql", marks=[pytest.mark.mysql, pytest.mark.redis])])
def mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp(f"mesh-{request.param}")
    if request.param == "sqlite":
        with running_mesh(folder / "data") as started:
            add_example(started, folder / "example")
            yield started
        return
    redis = required_url("IMTS_TEST_REDIS_URL")
    with fresh_schema() as jobs, fresh_schema() as log:
        environment = {"ORCHESTRATOR_DATABASE_URL": jobs, "STREAM_DATABASE_URL": log, "IMTS_REDIS_URL": redis}
        with running_mesh(folder / "data", environment) as started:
            add_example(started, folder / "example")
            yield started


def test_every_logging_step_is_on_the_stream_exactly_once_and_the_loss_falls(mesh: Mesh) -> None:
    job_id = submit(mesh, maxSteps=60)
    log = stream_to_end(mesh, job_id)
    assert_gapless(log)
    assert log[-1]["data"]["to"] == "succeeded"
    assert metric_steps(log) == {1: list(range(1, 61))}
    curve = losses(log)
    first, last = [sum(curve[step] for step in steps) / 10 for steps in (range(1, 11), range(51, 61))]
    assert last < first * 0.8
    by_rest = [{**event, "job_id": job_id} for event in events(mesh, job_id)]
    assert by_rest == log


def test_a_finished_job_tells_its_figures_and_makes_a_model_version(mesh: Mesh) -> None:
    job_id = submit(mesh, maxSteps=10, outputName="tiny-tuned")
    view = wait_for(mesh, job_id)
    assert (view["status"], view["attempt"], view["currentStep"], view["totalSteps"]) == ("succeeded", 1, 10, 10)
    assert view["progress"] == 1
    assert view["metrics"]["train_loss"] > 0
    model = mesh.api.get("/api/models/tiny-tuned").json()
    assert model["jobId"] == job_id
    assert model["adapter"]
    names = {item["name"] for item in mesh.api.get(f"/api/training/jobs/{job_id}/artifacts").json()["data"]}
    assert "adapter" in names


def test_the_tuned_model_answers_better_than_its_base(mesh: Mesh) -> None:
    job_id = submit(
        mesh, finetuningType="full", batchSize=16, learningRate=3e-3, epochs=12, maxSteps=None, loggingSteps=50,
        outputName="arithmetic-tuned",
    )  # fmt: skip
    assert wait_for(mesh, job_id)["status"] == "succeeded"
    body = {"dataset": "arithmetic-test", "modelName": "arithmetic-tuned", "baselineModel": "tiny", "maxNewTokens": 8}
    answer = mesh.api.post("/api/evaluation/jobs", json=body)
    assert answer.status_code == 202, answer.text
    view = wait_for(mesh, answer.json()["jobId"], kind="evaluation")
    assert view["status"] == "succeeded", view
    assert view["result"]["baseline"]["exact_match"] <= 0.05
    assert view["result"]["model"]["exact_match"] >= 0.5


def test_an_analysis_tells_the_health_of_the_data(mesh: Mesh) -> None:
    body = {"dataset": "arithmetic-train", "testDataset": "arithmetic-test", "modelName": "tiny"}
    answer = mesh.api.post("/api/analysis/jobs", json=body)
    assert answer.status_code == 202, answer.text
    view = wait_for(mesh, answer.json()["jobId"], kind="analysis")
    assert view["status"] == "succeeded", view
    assert view["result"]["healthScore"] > 50


def test_stop_leaves_a_checkpoint_and_retry_is_a_new_job(mesh: Mesh) -> None:
    job_id = submit(mesh, maxSteps=5000)
    wait_for(mesh, job_id, "running")
    assert mesh.api.post(f"/api/training/jobs/{job_id}/stop").status_code == 202
    assert wait_for(mesh, job_id)["status"] == "stopped"
    assert_gapless(events(mesh, job_id))
    retry = mesh.api.post(f"/api/training/jobs/{job_id}/retry")
    assert retry.status_code == 202, retry.text
    assert retry.json()["retryOf"] == job_id
    assert retry.json()["jobId"] != job_id
    mesh.api.post(f"/api/training/jobs/{retry.json()['jobId']}/stop")


def test_the_same_idempotency_key_twice_is_one_job(mesh: Mesh) -> None:
    body = {"modelName": "tiny", "dataset": "arithmetic-train", "maxSteps": 2}
    headers = {"Idempotency-Key": "once-only"}
    first, second = [mesh.api.post("/api/training/jobs", json=body, headers=headers) for _ in range(2)]
    assert first.json()["jobId"] == second.json()["jobId"]
    other = mesh.api.post("/api/training/jobs", json={**body, "maxSteps": 3}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_run_of_any_trainer_is_live_and_whole_although_its_service_is_killed(mesh: Mesh, tmp_path: Path) -> None:
    with start(name="mine", folder=tmp_path, environ=mesh.cli_environment) as run:
        for step in range(1, 501):
            run.log({"train_loss": 1 / step}, step=step)
        eventually(lambda: mesh.stream.get(f"/v1/topics/job:{run.run_id}/events").json()["data"])
        mesh.wait_for_new("stream", mesh.kill_service("stream"))
        for step in range(501, 1001):
            run.log({"train_loss": 1 / step}, step=step)
        assert run.finish(within_s=30)
    log = stream_to_end(mesh, run.run_id)
    assert [event["seq"] for event in log] == list(range(1, 1003))
    assert sorted(losses(log)) == list(range(1, 1001))
    assert log[-1]["data"]["status"] == "succeeded"


def test_each_project_hears_of_its_own_jobs_and_runs(mesh: Mesh, tmp_path: Path) -> None:
    body = {"dataset": "arithmetic-train", "modelName": "tiny"}
    jobs: dict[str, str] = {}
    for project in ("circles", "squares", "circles"):
        answer = mesh.api.post("/api/analysis/jobs", json=body, params={"project": project})
        assert answer.status_code == 202, answer.text
        jobs[answer.json()["jobId"]] = project
    with start(name="mine", project="squares", folder=tmp_path, environ=mesh.cli_environment) as run:
        run.log({"train_loss": 1.0})
    for job_id in jobs:
        wait_for(mesh, job_id, kind="analysis")

    def news(project: str) -> list[dict[str, Any]]:
        page = mesh.stream.get(f"/v1/topics/project:{project}/events", params={"limit": 500}).json()
        return list(page["data"])

    for project in ("circles", "squares"):
        moves = {
            job_id: [move["toStatus"] for move in mesh.api.get(f"/api/jobs/{job_id}/history").json()["data"]]
            for job_id, home in jobs.items() if home == project
        }  # fmt: skip
        if project == "squares":
            moves[run.run_id] = ["run_started", "succeeded"]
        count = sum(map(len, moves.values()))
        told = eventually(partial(news, project), lambda told, count=count: len(told) == count)  # type: ignore[misc]
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        heard: dict[str, list[str]] = {}
        for event in told:
            data = event["data"]
            heard.setdefault(data["job_id"], []).append(data.get("to") or data.get("status") or event["event_type"])
        assert heard == moves


@pytest.mark.parametrize("service", ["orchestrator", "training", "analyzer", "evaluator", "stream"])
def test_no_service_answers_without_a_key(mesh: Mesh, service: str) -> None:
    routes = httpx.get(f"{mesh.url(service)}/openapi.json", trust_env=False).json()["paths"]
    assert len(routes) > 3
    for path, methods in routes.items():
        for method in methods:
            answer = httpx.request(method, mesh.url(service) + path.replace("{", "").replace("}", ""), trust_env=False)
            is_health = path in {"/healthz", "/readyz"}
            assert (answer.status_code == 401) is not is_health, f"{method} {path}: {answer.status_code}"
            assert KEY not in answer.text
