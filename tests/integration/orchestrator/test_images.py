"""Data sets with images and models that take them meet in training, and are kept from what would not look at them."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.backup import referred
from shared.kit.artifact_copies import Reference
from tests.integration.orchestrator.registry import Registry, problem_of, running_registry
from tests.integration.orchestrator.test_models import import_model
from tests.model_folders import GOOD
from tests.unit.datasets.pictures import asked, data_uri, lines, packed, picture

RED = picture("red")
RED_HASH = hashlib.sha256(RED).hexdigest()
SEEING = {
    **GOOD, "config.json": json.dumps({"model_type": "qwen2_vl", "vision_config": {"depth": 2}}).encode(),
    "preprocessor_config.json": json.dumps({"image_processor_type": "Qwen2VLImageProcessor"}).encode(),
    "video_preprocessor_config.json": b"{}", "chat_template.json": b"{}",
}  # fmt: skip


@contextmanager
def furnished(database_url: str, folder: Path) -> Iterator[Registry]:
    """With a data set `shown` and one `told`, a model `seer` and one `base`."""
    with running_registry(database_url, folder / "orchestrator") as running:
        shown = packed(("data.jsonl", lines(asked(images=["a.png"]), asked(images=["a.png"]))), ("a.png", RED))
        assert running.upload(shown, "shown", "shown.zip").json()["hasImages"] is True
        assert running.upload(lines(asked("Red?")), "told").json()["hasImages"] is False
        assert import_model(running, SEEING, "seer", template="qwen2_vl").json()["takesImages"] is True
        assert import_model(running, GOOD).json()["takesImages"] is False
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """On SQLite only and shared by the module, for what the database has no part in."""
    with furnished("", tmp_path_factory.mktemp("orchestrator")) as running:
        yield running


def test_images_lie_in_the_store_by_hash_and_belong_to_the_version(database_url: str, tmp_path: Path) -> None:
    with furnished(database_url, tmp_path) as registry:
        _look_into(registry)


def _look_into(registry: Registry) -> None:
    rows = registry.user.get("/api/datasets/shown/rows").json()["data"]
    assert [row["images"] for row in rows] == [[RED_HASH], [RED_HASH]]
    store, units = registry.wiring.store, registry.wiring.units
    version = units.read(lambda uow: uow.datasets.require("shown"))
    assert version.images is not None
    assert [(item.path, item.sha256) for item in store.tree(version.images)] == [(RED_HASH, RED_HASH)]
    assert store.read_bytes(RED_HASH) == RED
    assert version.as_input().images == version.images
    assert registry.leftovers() == []
    row = {"sha256": version.sha256, "images": version.images}
    assert Reference(version.images, is_tree=True) in list(referred("dataset_versions", row))
    inline = lines(asked(images=[data_uri(RED)]), asked(images=[data_uri(RED)]))
    again = registry.upload(inline, "shown", "inline.jsonl")
    assert again.json()["version"] == 1, "the same rows and images, however they were sent"


def test_a_bad_image_is_refused_with_its_row_and_leaves_nothing(alone: Registry) -> None:
    bad = lines(asked(images=[data_uri(RED)]), asked(images=["http://127.0.0.1/secret.png"]))
    problem = problem_of(alone.upload(bad, "bad"), 422)
    assert problem["message"].startswith("row 2: `images[0]` is an address, and nothing is fetched")
    outside = packed(("data.jsonl", lines(asked(images=["../a.png"]))), ("../a.png", RED))
    assert "leads out of the archive" in problem_of(alone.upload(outside, "bad", "a.zip"), 422)["message"]
    assert alone.user.get("/api/datasets/bad").status_code == 404
    assert alone.leftovers() == []


@pytest.mark.parametrize(
    ("path", "body", "param", "why"),
    [
        ("training/jobs", {"modelName": "base", "dataset": "shown"}, "modelName", "dataset has images and this model"),
        ("training/jobs", {"modelName": "base", "datasets": [{"name": "told"}, {"name": "shown"}]}, "modelName",
         "datasets.1.name has images"),
        ("training/jobs", {"modelName": "base", "dataset": "told", "validationDataset": "shown", "evalSteps": 1},
         "modelName", "validationDataset has images"),
        ("training/jobs", {"modelName": "base", "dataset": "told", "imageMaxPixels": 4096}, "imageMaxPixels", "drop"),
        ("training/jobs", {"modelName": "seer", "dataset": "shown", "stage": "pt"}, "stage", "from which stage sft"),
        ("training/jobs", {"modelName": "seer", "dataset": "told", "neatPacking": True}, "neatPacking", "use packing"),
        ("training/jobs", {"modelName": "seer", "dataset": "shown", "parallel": {"processes": 2}}, "parallel",
         "by one process"),
        ("training/plan", {"modelName": "seer", "dataset": "shown"}, "modelName", "not planned yet"),
        ("analysis/jobs", {"dataset": "shown"}, "dataset", "analysis compares texts alone"),
        ("analysis/jobs", {"dataset": "told", "testDataset": "shown"}, "testDataset", "analysis compares texts alone"),
        ("evaluation/jobs", {"modelName": "base", "dataset": "shown"}, "dataset", "evaluation shows none yet"),
        ("evaluation/jobs", {"modelName": "base", "baselineModel": "seer", "dataset": "told"}, "baselineModel",
         "not yet asked"),
        ("export/jobs", {"modelName": "seer", "operation": "gguf"}, "modelName", "family qwen2_vl cannot be written"),
    ],
)  # fmt: skip
def test_what_would_not_look_at_images_is_refused_by_name(
    alone: Registry, path: str, body: dict[str, Any], param: str, why: str
) -> None:
    problem = problem_of(alone.user.post(f"/api/{path}", json=body), 422)
    assert problem["param"] == param
    assert why in problem["message"]


def test_a_model_that_takes_images_is_trained_on_them_and_not_chatted_with(alone: Registry) -> None:
    body = {"modelName": "seer", "dataset": "shown", "freezeVisionTower": False, "imageMaxPixels": 4096}
    assert alone.user.post("/api/training/jobs", json=body).status_code == 202
    files = [("files", ("adapter_config.json", b"{}"))]
    adapter = alone.user.post("/api/models", files=files, data={"name": "a", "base": "seer"})
    assert "adapters for such models are not taken in yet" in problem_of(adapter, 422)["message"]
    talk = {"model": "seer", "messages": [{"role": "user", "content": "Hello"}]}
    refusal = alone.user.post("/v1/chat/completions", json=talk)
    assert "not yet asked" in problem_of(refusal, 422)["message"]
    listed = [model["id"] for model in alone.user.get("/v1/models").json()["data"]]
    assert listed == ["base@1"]
