"""Ways out of a model are jobs like any other: checked at the door, made once, ended with a version or with files."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.db.engine import MIGRATIONS
from shared.contracts.work import Outcome
from tests.databases import migrated
from tests.fakes.worker import MADE_MODEL, FakeWorker
from tests.integration.orchestrator.mesh import Answer, Mesh, running_orchestrator
from tests.integration.orchestrator.registry import problem_of

LLAMA = {"model_type": "llama", "hidden_size": 64}


def register(mesh: Mesh, name: str, *, adapter: str | None = None, config: Answer | None = None) -> None:
    """A model with a folder in the store, as far as the orchestrator looks into it."""
    folder = mesh.settings.data_dir / f"folder-{name}"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config or LLAMA))
    base = mesh.wiring.store.put_tree(folder).sha256
    mesh.wiring.units.write(
        lambda uow: uow.models.add_version(
            name=name, base=base, adapter=adapter, template="chatml", parameters=7, base_model=None, job_id=None
        )
    )


def export(mesh: Mesh, key: str = "", **fields: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    return mesh.http.post("/api/export/jobs", json=fields, headers=headers)


def test_a_merge_ends_in_a_version_that_knows_what_it_was_made_of(mesh: Mesh) -> None:
    register(mesh, "tuned", adapter="b" * 64)
    answer = export(mesh, operation="merge", modelName="tuned@1")
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["spec"]["outputName"]) == ("export", "tuned-merged")
    assert answer.headers["location"] == f"/api/jobs/{job['jobId']}"
    mesh.until(job["jobId"], "running")
    mesh.worker.end(f"{job['jobId']}.1", Outcome.SUCCEEDED, result={"model": {"base": "d" * 64, "template": "chatml"}})
    assert mesh.until(job["jobId"], "succeeded")["result"]["model"]["reference"] == "tuned-merged@1"
    model = mesh.http.get("/api/models/tuned-merged").json()
    assert (model["base"], model.get("adapter"), model["baseModel"]) == ("d" * 64, None, "tuned@1")


def test_a_gguf_export_ends_in_files_and_no_version(mesh: Mesh) -> None:
    register(mesh, "plain")
    job_id = export(mesh, operation="gguf", modelName="plain", quantization="Q4_K_M").json()["jobId"]
    mesh.until(job_id, "running")
    artifact = {"name": "gguf", "sha256": "e" * 64, "size": 3, "is_tree": True}
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result={"file": {"name": "x.gguf"}}, artifacts=[artifact])
    done = mesh.until(job_id, "succeeded")
    assert (done["spec"]["quantization"], done["result"]) == ("q4_k_m", {"file": {"name": "x.gguf"}})
    assert [one["name"] for one in mesh.http.get("/api/models").json()["data"]] == ["plain", "base"]
    assert [one["jobId"] for one in mesh.http.get("/api/export/jobs").json()["data"]] == [job_id]
    assert mesh.http.get(f"/api/export/jobs/{job_id}/artifacts").json()["data"][0]["name"] == "gguf"


def test_a_merge_that_says_no_model_is_a_failure_of_the_platform(mesh: Mesh) -> None:
    register(mesh, "tuned", adapter="b" * 64)
    job_id = export(mesh, operation="merge", modelName="tuned").json()["jobId"]
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result={"file": {"name": "x.gguf"}})
    assert mesh.until(job_id, "failed")["failure"]["reason"] == "no_model_made"


def test_the_same_key_makes_one_export(mesh: Mesh) -> None:
    register(mesh, "plain")
    first = export(mesh, key="once", operation="gguf", modelName="plain")
    again = export(mesh, key="once", operation="gguf", modelName="plain")
    other = export(mesh, key="once", operation="gguf", modelName="plain", quantization="f16")
    assert (again.json()["jobId"], again.headers["idempotency-replayed"]) == (first.json()["jobId"], "true")
    assert problem_of(other, 409)["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("fields", "status", "param", "code"),
    [
        ({"operation": "melt"}, 422, "operation", "invalid_value"),
        ({"operation": "gguf", "quantization": "q9_z"}, 422, "quantization", "invalid_value"),
        ({"operation": "gguf", "maxShardGb": 2}, 422, "maxShardGb", "invalid_value"),
        ({"operation": "merge", "quantization": "f16"}, 422, "quantization", "invalid_value"),
        ({"operation": "merge", "maxShardGb": 0}, 422, "maxShardGb", "invalid_value"),
        ({"operation": "gguf", "outputName": "../x"}, 422, "outputName", "invalid_value"),
        ({"operation": "gguf", "target": "office"}, 422, "target", "invalid_value"),
        ({"operation": "ollama"}, 422, "target", "invalid_value"),
        ({"operation": "ollama", "target": "http://10.0.0.1"}, 422, "target", "invalid_value"),
        ({"operation": "ollama", "target": "office"}, 422, "target", "target_not_configured"),
        ({"operation": "hub"}, 422, "target", "invalid_value"),
        ({"operation": "hub", "target": "https://evil.example"}, 422, "target", "invalid_value"),
        ({"operation": "hub", "target": "office"}, 422, "target", "target_not_configured"),
        ({"operation": "hub", "target": "office", "token": "hf_x"}, 422, "token", "invalid_value"),
        ({"operation": "hub", "target": "office", "quantization": "f16"}, 422, "quantization", "invalid_value"),
        ({"operation": "gguf", "private": False}, 422, "private", "invalid_value"),
        ({"operation": "gguf", "speed": 1}, 422, "speed", "invalid_value"),
        ({"operation": "gguf", "modelName": "nothing"}, 404, "modelName", "model_not_found"),
        ({"operation": "merge"}, 422, "modelName", "no_adapter"),
        ({"operation": "gguf", "modelName": "odd"}, 422, "modelName", "family_not_supported"),
    ],
)
def test_a_wrong_field_is_refused_and_named(mesh: Mesh, fields: Answer, status: int, param: str, code: str) -> None:
    register(mesh, "plain")
    register(mesh, "odd", config={"model_type": "gpt_neox"})
    problem = problem_of(export(mesh, **{"modelName": "plain", **fields}), status)
    assert (problem["param"], problem["code"]) == (param, code)
    assert mesh.http.get("/api/export/jobs").json()["data"] == []


def test_a_family_without_a_converter_is_told_with_those_that_have_one(mesh: Mesh) -> None:
    register(mesh, "odd", config={"model_type": "gpt_neox"})
    message = problem_of(export(mesh, operation="gguf", modelName="odd"), 422)["message"]
    assert (
        message
        == "modelName: models of family gpt_neox cannot be written as GGUF yet; llama, mistral, qwen2, qwen3 can"
    )


def test_an_export_is_cloned_with_another_quantization(mesh: Mesh) -> None:
    register(mesh, "plain")
    job = export(mesh, operation="gguf", modelName="plain", outputName="mine", priority=3).json()
    answer = mesh.http.post(f"/api/export/jobs/{job['jobId']}/clone", json={"quantization": "f16"})
    assert answer.status_code == 202, answer.text
    cloned = answer.json()
    assert cloned["spec"] == {**job["spec"], "quantization": "f16"}
    assert cloned["scheduling"]["priority"] == 3


def test_a_training_still_ends_in_a_version(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    assert "reference" in mesh.until(job_id, "succeeded")["result"]["model"]


def test_the_worker_is_told_where_the_model_is_from_and_what_evaluations_found(mesh: Mesh) -> None:
    training = mesh.submit(outputName="tuned")
    mesh.until(training, "running")
    mesh.worker.end(f"{training}.1", Outcome.SUCCEEDED, result={**MADE_MODEL, "metrics": {"train_loss": 0.5}})
    mesh.until(training, "succeeded")
    asked = {"dataset": "facts", "modelName": "tuned", "baselineModel": "base"}
    evaluation = mesh.http.post("/api/evaluation/jobs", json=asked).json()["jobId"]
    mesh.until(evaluation, "running")
    evaluator = mesh.peers.at("evaluator")
    assert isinstance(evaluator, FakeWorker)
    found = {"model": {"exact_match": 0.75}, "baseline": {"exact_match": 0.5}}
    evaluator.end(f"{evaluation}.1", Outcome.SUCCEEDED, result=found)
    mesh.until(evaluation, "succeeded")
    job_id = export(mesh, operation="merge", modelName="tuned").json()["jobId"]
    mesh.until(job_id, "running")
    own, base = mesh.worker.specs[f"{job_id}.1"].models["base"].origins
    assert (own.reference, own.made_by, own.base_model, own.figures) == (
        "tuned@1", "training", "base@1", {"train_loss": 0.5},
    )  # fmt: skip
    assert (own.spec["outputName"], own.datasets["train"].name) == ("tuned", "facts")
    (measured,) = own.evaluations
    assert (measured.dataset, measured.metrics) == ("facts@1", {"exact_match": 0.75})
    assert (measured.baseline, measured.baseline_metrics) == ("base@1", {"exact_match": 0.5})
    assert (base.reference, base.made_by, base.evaluations) == ("base@1", "import", [])
    assert "origins" not in mesh.worker.specs[f"{training}.1"].models["base"].model_dump()


def test_configured_servers_are_sent_to_by_name(database_url: str, tmp_path: Path) -> None:
    migrated(database_url, MIGRATIONS)
    settings = {
        "ollama_targets": "office=http://10.0.0.5:11434",
        "hub_targets": "hf=https://huggingface.co/team,lab=https://hub.example/lab",
    }
    with running_orchestrator(database_url, tmp_path / "data", **settings) as mesh:
        register(mesh, "plain")
        answer = export(mesh, operation="ollama", modelName="plain", target="office")
        assert (answer.status_code, answer.json()["spec"]["target"]) == (202, "office")
        refused = problem_of(export(mesh, operation="ollama", modelName="plain", target="lab"), 422)
        assert refused["message"] == "target: there is no Ollama server of this name; configured: office"
        mesh.until(answer.json()["jobId"], "running")
        mesh.worker.end(f"{answer.json()['jobId']}.1", Outcome.SUCCEEDED, result={"ollama": {}})
        pushed = export(mesh, operation="hub", modelName="plain", target="hf", outputName="mine").json()
        assert (pushed["spec"]["target"], pushed["spec"]["private"]) == ("hf", True)
        refused = problem_of(export(mesh, operation="hub", modelName="plain", target="office"), 422)
        assert refused["message"] == "target: there is no hub of this name; configured: hf, lab"
        mesh.until(pushed["jobId"], "running")
        result = {"hub": {"target": "hf", "repository": "team/mine", "commit": "0" * 40}}
        mesh.worker.end(f"{pushed['jobId']}.1", Outcome.SUCCEEDED, result=result)
        mesh.until(pushed["jobId"], "succeeded")
        made = mesh.http.get("/api/models/plain/exports").json()["data"][0]
        assert (made["operation"], made["target"], made["repository"]) == ("hub", "hf", "team/mine")
