"""A plan tells before a training what the training itself shows afterwards."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mesh import Mesh, running_mesh
from tests.stories import add_example, submit, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
BODY = {
    "modelName": "tiny", "dataset": "arithmetic-train", "stage": "sft", "finetuningType": "lora", "batchSize": 4,
    "learningRate": 1e-3, "epochs": 1, "loggingSteps": 1, "cutoffLen": 128,
}  # fmt: skip


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("plans")
    with running_mesh(folder / "data") as started:
        add_example(started, folder / "example", limit=120)
        yield started


def _plan(mesh: Mesh, **fields: Any) -> dict[str, Any]:
    answer = mesh.api.post("/api/training/plan", json={**BODY, **fields}, timeout=200)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_steps_memory_and_weights_are_those_of_the_training(mesh: Mesh) -> None:
    plan = _plan(mesh)
    assert plan["allowedToProceed"], plan["warnings"]
    job_id = submit(mesh, maxSteps=None)
    view = wait_for(mesh, job_id, within_s=300)
    assert (view["status"], view["totalSteps"]) == ("succeeded", plan["steps"])
    report = json.loads((mesh.folder / "training" / "jobs" / job_id / "1" / "exit.json").read_bytes())
    measured = report["peak_memory_bytes"] / 2**30
    assert plan["memory"]["peak"] == pytest.approx(measured, rel=0.2)
    assert 0 < plan["trainableParameters"] < plan["parameters"]
    together = _plan(mesh, parallel={"processes": 2})
    assert together["steps"] == plan["steps"]
    assert plan["memory"]["peak"] < together["memory"]["peak"] < 2.1 * plan["memory"]["peak"]
    assert "processes_not_rehearsed" in {warning["code"] for warning in together["warnings"]}
    assert together["duration"] is None, "nothing was trained so yet"
    later = _plan(mesh)
    assert later["duration"]["basis"] == "1 trainings of this model by lora"
    assert later["duration"]["seconds"] > 0


def test_what_would_go_wrong_is_told_before(mesh: Mesh) -> None:
    plan = _plan(mesh, cutoffLen=16, maxSteps=2)
    assert {warning["code"] for warning in plan["warnings"]} >= {"rows_shortened", "few_steps"}
    refused = _plan(mesh, precision="bf16")
    assert refused["allowedToProceed"] is False
    assert refused["warnings"][0]["code"] == "option_unsupported"
    missing = mesh.api.post("/api/training/plan", json={**BODY, "dataset": "nowhere"})
    assert (missing.status_code, missing.json()["error"]["param"]) == (404, "dataset")
    wrong = mesh.api.post("/api/training/plan", json={**BODY, "batchSize": 0})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "batchSize")


def test_what_does_not_fit_is_refused_with_what_would(mesh: Mesh) -> None:
    plan = _plan(mesh, batchSize=1024, gradientAccumulationSteps=4, cutoffLen=4096, packing=True)
    assert plan["allowedToProceed"] is False
    assert "does_not_fit" in {warning["code"] for warning in plan["warnings"]}
    assert plan["alternatives"]
    assert all(other["peak"] < plan["memory"]["peak"] for other in plan["alternatives"])


def test_the_command_line_shows_a_plan(mesh: Mesh) -> None:
    fields = [f"{name}={value}" for name, value in BODY.items()]
    shown = mesh.cli("plan", *fields)
    assert shown["steps"] == _plan(mesh)["steps"]
