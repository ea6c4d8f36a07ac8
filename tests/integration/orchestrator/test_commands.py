"""A running training is told what to do; its worker writes it down, and whoever cannot is told why."""

import pytest

from shared.contracts.commands import Action
from shared.contracts.models import ModelPurpose
from shared.contracts.work import Outcome
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Answer, Mesh

UNKNOWN = "job-" + "0" * 26


def tell(mesh: Mesh, job_id: str, key: str | None = None, **asked: object) -> tuple[int, Answer]:
    headers = {} if key is None else {"idempotency-key": key}
    answer = mesh.http.post(f"/api/training/jobs/{job_id}/control", json=asked, headers=headers)
    return answer.status_code, answer.json()


def running(mesh: Mesh) -> str:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    return job_id


def test_a_running_job_s_worker_gets_the_command(mesh: Mesh) -> None:
    job_id = running(mesh)
    status, told = tell(mesh, job_id, action="set_learning_rate", learningRate=0.01)
    assert (status, told["action"], told["status"], told["attempt"]) == (202, "set_learning_rate", "running", 1)
    ((attempt_id, command),) = mesh.worker.commands
    assert (attempt_id, command.command_id) == (f"{job_id}.1", told["commandId"])
    assert (command.action, command.value) == (Action.SET_LEARNING_RATE, 0.01)


def test_the_same_key_is_the_same_command(mesh: Mesh) -> None:
    job_id = running(mesh)
    first = tell(mesh, job_id, key="once", action="checkpoint")
    assert tell(mesh, job_id, key="once", action="checkpoint") == first
    assert tell(mesh, job_id, action="checkpoint")[1]["commandId"] != first[1]["commandId"]
    assert len(mesh.worker.commands) == 2


def test_the_body_may_name_the_job(mesh: Mesh) -> None:
    job_id = running(mesh)
    answer = mesh.http.post("/api/training/control", json={"jobId": job_id, "action": "set_max_steps", "maxSteps": 7})
    assert answer.status_code == 202, answer.text
    assert mesh.worker.commands[0][1].value == 7
    assert mesh.http.post("/api/training/control", json={"jobId": job_id, "action": "pause"}).status_code == 202
    assert mesh.until(job_id, "paused")["why"]
    resumed = mesh.http.post("/api/training/control", json={"jobId": job_id, "action": "resume"})
    assert resumed.json()["commandId"] is None
    mesh.until(job_id, "running")
    assert mesh.http.post("/api/training/control", json={"jobId": job_id, "action": "stop"}).status_code == 202
    mesh.until(job_id, "stopped")


def test_who_told_what_is_written_down(mesh: Mesh) -> None:
    job_id = running(mesh)
    tell(mesh, job_id, action="checkpoint")
    audited = mesh.http.get("/api/audit", params={"limit": 1}).json()["data"][0]
    assert (audited["action"], audited["subject"]) == ("command_checkpoint", f"job:{job_id}")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"action": "set_learning_rate"}, "learningRate"),
        ({"action": "set_learning_rate", "learningRate": 0}, "learningRate"),
        ({"action": "checkpoint", "learningRate": 0.1}, "learningRate"),
        ({"action": "set_max_steps", "maxSteps": 0}, "maxSteps"),
        ({"action": "evaluate", "maxSteps": 3}, "maxSteps"),
        ({"action": "shout"}, "action"),
        ({}, "action"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_by_its_field(mesh: Mesh, asked: Answer, param: str) -> None:
    status, answer = tell(mesh, running(mesh), **asked)
    assert (status, answer["error"]["param"]) == (422, param), answer


def test_a_job_that_does_not_run_takes_no_commands(mesh: Mesh) -> None:
    job_id = running(mesh)
    mesh.ask(job_id, "pause")
    mesh.until(job_id, "paused")
    status, answer = tell(mesh, job_id, action="checkpoint")
    assert (status, answer["error"]["code"]) == (409, "job_paused")
    assert tell(mesh, UNKNOWN, action="checkpoint")[0] == 404
    assert mesh.worker.commands == []


def test_an_attempt_that_just_ended_takes_no_commands(mesh: Mesh) -> None:
    mesh.worker.obeys = False
    job_id = running(mesh)
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    status, answer = tell(mesh, job_id, action="checkpoint")
    assert (status, answer["error"]["type"]) == (409, "conflict_error")


def test_a_silent_worker_is_told_of(mesh: Mesh) -> None:
    job_id = running(mesh)
    mesh.worker.is_silent = True
    status, answer = tell(mesh, job_id, action="checkpoint")
    assert (status, answer["error"]["retryable"]) == (503, True)


def add_model(mesh: Mesh, name: str, base: str, base_model: str | None, purpose: ModelPurpose) -> None:
    mesh.wiring.units.write(
        lambda uow: uow.models.add_version(
            name=name, base=base * 64, adapter=None, template="default", parameters=7, base_model=base_model,
            job_id=None, purpose=purpose,
        )
    )  # fmt: skip


def test_stage_ppo_takes_a_reward_model_of_its_family_and_no_pause(mesh: Mesh) -> None:
    add_model(mesh, "judge", "d", "base@1", ModelPurpose.REWARD)
    add_model(mesh, "foreign", "e", None, ModelPurpose.REWARD)
    wanted = {"modelName": "base", "dataset": "facts", "stage": "ppo"}
    for reward, code in (
        ("base", "model_purpose_mismatch"), ("foreign", "reward_model_mismatch"), ("nobody", "model_not_found"),
    ):  # fmt: skip
        problem = mesh.http.post("/api/training/jobs", json={**wanted, "rewardModel": reward}).json()["error"]
        assert (problem["code"], problem["param"]) == (code, "rewardModel")
    job_id = mesh.submit(**wanted, rewardModel="judge")
    mesh.until(job_id, "running")
    refused = mesh.ask(job_id, "pause")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "stage_cannot_pause")
    assert mesh.job(job_id)["status"] == "running"
    unplanned = mesh.http.post("/api/training/plan", json={**wanted, "rewardModel": "judge"})
    assert (unplanned.status_code, unplanned.json()["error"]["code"]) == (422, "not_planned")
