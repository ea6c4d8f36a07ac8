"""Uploads and imports under an Idempotency-Key: the same request has the same answer, another one is refused."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.orchestrator.registry import Registry, problem_of, running_registry
from tests.model_folders import CONFIG, weights
from tests.unheard import unheard_commits

ROWS = "".join(json.dumps({"instruction": f"{n} + 1", "output": str(n + 1)}) + "\n" for n in range(3))
OTHERS = ROWS + json.dumps({"instruction": "9 + 1", "output": "10"}) + "\n"
FILES = {"config.json": CONFIG, "model.safetensors": weights()}


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> Iterator[Registry]:
    with running_registry(database_url, tmp_path / "orchestrator") as running:
        yield running


def upload(registry: Registry, content: str = ROWS, key: str | None = "mine", **fields: str) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": key}
    data = {"name": "numbers", **fields}
    return registry.user.post("/api/datasets", files={"file": ("a.jsonl", content)}, data=data, headers=headers)


def import_model(registry: Registry, key: str, **fields: str) -> httpx.Response:
    parts = [("files", (name, content)) for name, content in FILES.items()]
    data = {"name": "base", **fields}
    return registry.user.post("/api/models", files=parts, data=data, headers={"idempotency-key": key})


def changes(registry: Registry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = registry.user.get("/api/audit").json()["data"]
    return found


def test_the_same_upload_under_the_same_key_has_the_same_answer(registry: Registry) -> None:
    first = upload(registry)
    assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
    upload(registry, OTHERS, key=None)
    again = upload(registry)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]


@pytest.mark.parametrize("other", [{"content": OTHERS}, {"name": "figures"}, {"format": "alpaca"}])
def test_a_key_of_another_upload_is_refused(registry: Registry, other: dict[str, str]) -> None:
    upload(registry)
    refused = problem_of(upload(registry, **other), 409)
    assert (refused["code"], refused["param"]) == ("idempotency_key_reused", "Idempotency-Key")
    assert len(registry.user.get("/api/datasets").json()["data"]) == 1


def test_data_sets_models_and_jobs_share_one_space_of_keys(registry: Registry) -> None:
    imported = import_model(registry, "model")
    assert imported.status_code == 201, imported.text
    assert import_model(registry, "model").json() == imported.json()
    assert problem_of(import_model(registry, "model", template="llama3"), 409)["code"] == "idempotency_key_reused"
    assert problem_of(upload(registry, key="model"), 409)["code"] == "idempotency_key_reused"
    upload(registry, key="data")
    tiny = {"name": "tiny", "fromDataset": "numbers"}
    stolen = registry.user.post("/api/models/tiny", json=tiny, headers={"idempotency-key": "data"})
    assert problem_of(stolen, 409)["code"] == "idempotency_key_reused"
    made = registry.user.post("/api/models/tiny", json=tiny, headers={"idempotency-key": "job"})
    assert made.status_code == 202, made.text
    assert problem_of(upload(registry, key="job"), 409)["code"] == "idempotency_key_reused"


def test_many_uploads_at_once_under_one_key_are_one(registry: Registry) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: upload(registry), range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["datasetId"] for answer in answers}) == 1
    assert len(changes(registry)) == 1


def test_what_came_in_is_written_down_once_with_who_sent_it(registry: Registry) -> None:
    dataset = upload(registry, key=None).json()
    upload(registry, key=None)
    upload(registry)
    model = import_model(registry, "model").json()
    second, first = changes(registry)
    assert (first["who"], first["action"], first["subject"]) == (
        "admin", "upload_dataset", f"dataset:{dataset['datasetId']}",
    )  # fmt: skip
    assert (first["before"], first["after"]["rows"], first["after"]["sha256"]) == (None, 3, dataset["sha256"])
    assert (second["action"], second["subject"]) == ("import_model", f"model:{model['modelId']}")


def test_an_upload_whose_commit_was_unheard_is_one_version_and_one_change(registry: Registry) -> None:
    with unheard_commits(registry.wiring.database.engine, "INSERT INTO dataset_versions") as struck:
        answer = upload(registry)
    assert len(struck) == 1
    assert (answer.status_code, answer.json()["version"]) == (201, 1)
    assert upload(registry).json() == answer.json()
    assert len(changes(registry)) == 1
