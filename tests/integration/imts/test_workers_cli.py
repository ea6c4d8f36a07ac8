"""`imts workers` against a real orchestrator: who works, and who is taken out and back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.db.engine import MIGRATIONS
from tests.databases import migrated
from tests.integration.imts.test_cli import imts
from tests.integration.orchestrator.mesh import API_KEY, Mesh, running_orchestrator


def ask(mesh: Mesh, *words: str) -> Any:
    done = imts(mesh.url, "workers", *words, "--json", key=API_KEY)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    url = f"sqlite:///{tmp_path / 'imts.db'}"
    migrated(url, MIGRATIONS)
    with running_orchestrator(url, tmp_path / "data") as started:
        yield started


def test_a_worker_is_drained_forgotten_and_taken_back(mesh: Mesh) -> None:
    assert {one["name"]: one["state"] for one in ask(mesh, "list")["data"]} == {
        "training": "active", "analyzer": "active", "evaluator": "active",
    }  # fmt: skip
    assert ask(mesh, "drain", "training")["state"] == "draining"
    waiting = mesh.submit()
    assert ask(mesh, "forget", "training", "--yes")["state"] == "forgotten"
    assert ask(mesh, "admit", "training")["state"] == "active"
    mesh.until(waiting, "running")


def test_forgetting_a_worker_that_answers_asks_first(mesh: Mesh) -> None:
    mesh.until(mesh.submit(), "running")
    refused = imts(mesh.url, "workers", "forget", "training", key=API_KEY)
    assert refused.returncode != 0
    assert "training answers, and has 1 jobs at work. Lose them?" in refused.stderr
    assert {one["state"] for one in ask(mesh, "list")["data"]} == {"active"}


def test_a_worker_that_nobody_knows_is_named(mesh: Mesh) -> None:
    unknown = imts(mesh.url, "workers", "drain", "nobody", key=API_KEY)
    assert unknown.returncode != 0
    assert "nobody" in unknown.stderr
    table = imts(mesh.url, "workers", "list", key=API_KEY).stdout
    assert "training" in table
    assert "1 of 1 free" in table
