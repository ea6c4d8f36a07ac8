"""Model folders go in file by file; what could run code or is damaged does not."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.domain.model import ModelVersion
from shared.contracts.models import ModelPurpose
from tests.integration.orchestrator.registry import Registry, problem_of, running_registry
from tests.model_folders import CONFIG, GOOD, Files, weights


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> Iterator[Registry]:
    with running_registry(database_url, tmp_path / "orchestrator") as running:
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """On SQLite only and shared by the module, for what the database has no part in."""
    with running_registry("", tmp_path_factory.mktemp("orchestrator")) as running:
        yield running


def import_model(registry: Registry, files: Files, name: str = "base", **fields: str) -> httpx.Response:
    parts = [("files", (filename, content)) for filename, content in files.items()]
    return registry.user.post("/api/models", files=parts, data={"name": name, **fields})


def test_an_imported_model_is_answered_by_name_version_and_id(registry: Registry) -> None:
    answer = import_model(registry, GOOD, template="llama3")
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["name"], view["version"], view["parameters"], view["template"]) == ("base", 1, 6, "llama3")
    for reference in ("base", "base@1", view["modelId"]):
        assert registry.user.get(f"/api/models/{reference}").json() == view
    assert import_model(registry, GOOD, template="llama3").json() == view
    assert import_model(registry, {**GOOD, "README.md": b"new"}).json()["version"] == 2
    assert [item["version"] for item in registry.user.get("/api/models").json()["data"]] == [2, 1]
    stored = registry.wiring.store.materialise(view["base"])
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == GOOD
    assert registry.leftovers() == []


def test_weights_in_shards_are_counted_together(alone: Registry) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    shards = {"model-1.safetensors": weights(), "model-2.safetensors": weights()}
    files = {"config.json": CONFIG, **shards, "model.safetensors.index.json": json.dumps(index).encode()}
    assert import_model(alone, files).json()["parameters"] == 12
    del files["model-2.safetensors"]
    assert "not uploaded" in problem_of(import_model(alone, files), 422)["message"]


def _config(**entries: Any) -> Files:
    return {"config.json": json.dumps({"model_type": "llama", **entries}).encode()}


def _header(**tensor: Any) -> Files:
    return {"model.safetensors": weights({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24], **tensor}})}


REFUSED: list[tuple[Files, str]] = [
    ({"pytorch_model.bin": b""}, "safetensors, never pickles"),
    ({"optimizer.pt": b""}, "never pickles"),
    ({"rng_state.pth": b""}, "never pickles"),
    ({"weights.pkl": b""}, "never pickles"),
    ({"modeling_evil.py": b"import os"}, "is no part of a model"),
    ({"adapter_config.json": b"{}"}, "say the version it goes on"),
    ({"../config.json": b"{}"}, "plain names"),
    ({"sub/config.json": b"{}"}, "plain names"),
    ({"sub\\config.json": b"{}"}, "plain names"),
    ({"/etc/passwd": b""}, "plain names"),
    ({".hidden.json": b"{}"}, "plain names"),
    ({"a b.safetensors": b""}, "plain names"),
    (_config(auto_map={"AutoModel": "evil.Model"}), "asks for code"),
    (_config(text_config={"deep": [{"trust_remote_code": True}]}), "asks for code"),
    (_config(_attn_implementation_internal="evil/kernel"), "asks for code"),
    (_config(vision_attn_implementation_internal="evil/kernel"), "asks for code"),
    (_config(_attn_implementation="evil/kernel"), "attention kernel"),
    (_config(model_type=7), "model_type"),
    ({"config.json": b"[]"}, "not a JSON object"),
    ({"config.json": b"{nope"}, "not strict JSON"),
    ({"config.json": b'{"model_type": "a", "model_type": "b"}'}, "not strict JSON"),
    ({"tokenizer_config.json": b'{"auto_map": {}}'}, "asks for code"),
    ({"tokenizer_config.json": b'{"chat_template": "{{\'\'.__class__}}"}'}, "Python's own objects"),
    ({"tokenizer_config.json": b'{"chat_template": [{"name": "a", "template": "{{x.__init__}}"}]}'}, "own objects"),
    ({"chat_template.jinja": b"{{ ''.__class__.__mro__ }}"}, "Python's own objects"),
    ({"tokenizer_config.json": b'{"vocab_file": "/etc/passwd"}'}, "outside the model folder"),
    ({"model.safetensors.index.json": b'{"weight_map": {"a": "../../etc/passwd"}}'}, "not uploaded"),
    ({"model.safetensors": b""}, "not a safetensors file"),
    ({"model.safetensors": b"\x80\x02}q\x00."}, "not a safetensors file"),
    ({"model.safetensors": struct.pack("<Q", 2**63)}, "not a safetensors file"),
    ({"model.safetensors": weights()[:-1]}, "shorter or longer"),
    ({"model.safetensors": weights() + b"x"}, "shorter or longer"),
    ({"model.safetensors": weights(b"[" * 60_000)}, "not JSON"),
    ({"model.safetensors": weights(b"[]")}, "not a JSON object"),
    ({"model.safetensors": weights(b'{"a": 1, "a": 2}')}, "twice"),
    ({"model.safetensors": weights(b"\xff\xfe")}, "not JSON"),
    (_header(dtype="PICKLE"), "type is not known"),
    (_header(dtype=["F32"]), "type is not known"),
    (_header(shape=[-6]), "shape"),
    (_header(shape=[True]), "shape"),
    (_header(shape=[2**59, 2**59]), "does not fit"),
    (_header(data_offsets=[24, 0]), "does not fit"),
    (_header(data_offsets=[4, 28]), "hole"),
]


@pytest.mark.parametrize(("files", "why"), REFUSED, ids=[f"{n}-{why}" for n, (_, why) in enumerate(REFUSED)])
def test_a_folder_with_code_pickles_or_damage_is_refused(alone: Registry, files: Files, why: str) -> None:
    problem = problem_of(import_model(alone, {**GOOD, **files}, name="refused"), 422)
    assert why in problem["message"]
    assert problem["param"] == "files"
    assert alone.user.get("/api/models/refused").status_code == 404
    assert alone.leftovers() == []


def test_a_folder_without_config_or_weights_is_refused(alone: Registry) -> None:
    for missing in ("config.json", "model.safetensors"):
        files = {name: content for name, content in GOOD.items() if name != missing}
        assert "is missing" in problem_of(import_model(alone, files), 422)["message"]
    twice = [("files", ("config.json", CONFIG)), ("files", ("config.json", CONFIG))]
    answer = alone.user.post("/api/models", files=twice, data={"name": "base"})
    assert "sent twice" in problem_of(answer, 422)["message"]


def test_names_and_templates_are_checked(alone: Registry) -> None:
    assert problem_of(import_model(alone, GOOD, name="https://evil/m"), 422)["param"] == "name"
    assert problem_of(import_model(alone, GOOD, template="../x"), 422)["param"] == "template"
    assert problem_of(import_model(alone, GOOD, trust_remote_code="true"), 422)["param"] == "trust_remote_code"
    assert problem_of(alone.user.get("/api/models/nothing"), 404)["code"] == "model_not_found"


def test_a_tiny_model_is_a_job_of_the_training_service(registry: Registry) -> None:
    registry.upload('{"text": "hello"}')
    answer = registry.user.post("/api/models/tiny", json={"name": "tiny", "fromDataset": "numbers"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["status"], job["spec"]["operation"]) == ("export", "queued", "make_tiny")
    assert answer.headers["location"] == f"/api/jobs/{job['jobId']}"
    missing = registry.user.post("/api/models/tiny", json={"name": "tiny", "fromDataset": "nothing"})
    assert problem_of(missing, 404)["param"] == "fromDataset"
    assert problem_of(registry.user.post("/api/models/tiny", content=b" " * 300_000), 413)


def test_versions_made_by_jobs_are_numbered_once_each(registry: Registry) -> None:
    def add(job_id: str, adapter: str) -> ModelVersion:
        return registry.wiring.units.write(
            lambda uow: (
                uow.models.add_version(
                    name="tuned",
                    base="a" * 64,
                    adapter=adapter,
                    template="default",
                    parameters=6,
                    base_model="base@1",
                    job_id=job_id,
                ).model
            )
        )

    first = add("job-1", "b" * 64)
    assert add("job-1", "b" * 64) == first
    assert add("job-2", "b" * 64).version == 2
    assert add("job-1", "c" * 64).version == 3
    view = registry.user.get("/api/models/tuned@1").json()
    assert (view["jobId"], view["baseModel"], view["adapter"]) == ("job-1", "base@1", "b" * 64)
    assert registry.wiring.units.read(lambda uow: uow.models.require("tuned")).reference == "tuned@3"


def test_a_reward_model_is_not_taken_for_one_that_writes(registry: Registry) -> None:
    registry.upload('{"messages": [{"role": "user", "content": "1"}], "chosen": "2", "rejected": "3"}', name="pairs")
    registry.wiring.units.write(
        lambda uow: uow.models.add_version(
            name="judge", base="a" * 64, adapter="b" * 64, template="default", parameters=6, base_model=None,
            job_id="job-1", purpose=ModelPurpose.REWARD,
        )
    )  # fmt: skip
    assert registry.user.get("/api/models/judge").json()["purpose"] == "reward"
    training = {"modelName": "judge", "dataset": "pairs", "stage": "dpo"}
    for path, body in (
        ("/api/training/jobs", training),
        ("/api/evaluation/jobs", {"modelName": "judge", "dataset": "pairs"}),
    ):
        problem = problem_of(registry.user.post(path, json=body), 422)
        assert (problem["code"], problem["param"]) == ("model_purpose_mismatch", "modelName")
    chat = {"model": "judge", "messages": [{"role": "user", "content": "1"}]}
    problem = problem_of(registry.user.post("/v1/chat/completions", json=chat), 422)
    assert (problem["code"], problem["param"]) == ("model_purpose_mismatch", "model")
    assert registry.user.get("/v1/models").json()["data"] == []
    problem = problem_of(registry.user.post("/api/export/jobs", json={"modelName": "judge", "operation": "merge"}), 422)
    assert problem["code"] == "model_purpose_mismatch"
    assert registry.user.post("/api/training/jobs", json={**training, "stage": "rm"}).status_code == 202
