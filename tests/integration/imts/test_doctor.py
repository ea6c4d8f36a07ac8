"""`imts doctor` as a process: on a folder without a mesh, and on settings that are wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.db.engine import MIGRATIONS
from tests.databases import fresh_schema, migrated
from tests.mesh import free_offset


def doctor(folder: Path, *words: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("IMTS_", "XDG_"))}
    options = ["--data-dir", str(folder), "--port-offset", str(free_offset())]
    done = subprocess.run(
        [sys.executable, "-m", "imts", "doctor", "--json", *options, *words],
        env={**environ, "HOME": str(folder.parent), **environment}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, {finding["name"]: finding for finding in json.loads(done.stdout)["data"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    return made


def test_a_mesh_that_was_never_started_has_nothing_wrong_with_it(folder: Path) -> None:
    code, told = doctor(folder)
    assert (code, [one for one in told.values() if one["health"] == "fail"]) == (0, [])
    assert told["mesh"]["says"] == "is down"
    assert told["orchestrator database"]["health"] == told["stream database"]["health"] == "warn"
    assert told["ports"]["health"] == told["engine"]["health"] == "ok"
    assert told["training settings"]["says"] == "can be read"


def test_wrong_settings_and_a_database_that_is_away_are_faults_without_any_secret(folder: Path) -> None:
    away = "mysql+pymysql://imts:very-secret@127.0.0.1:9/imts"
    code, told = doctor(
        folder, TRAINING_SLOTS="none", ORCHESTRATOR_DATABASE_URL=away, IMTS_REDIS_URL="redis://127.0.0.1:9"
    )
    assert code == 1
    assert "TRAINING_SLOTS" in told["training settings"]["says"]
    assert told["orchestrator database"]["health"] == "fail"
    assert "very-secret" not in json.dumps(told)
    assert told["redis"]["health"] == "warn"


@pytest.mark.mysql
def test_a_database_on_a_server_is_asked_for_schema_and_clock(folder: Path) -> None:
    with fresh_schema() as url:
        _, before = doctor(folder, ORCHESTRATOR_DATABASE_URL=url)
        assert before["orchestrator schema"]["says"].startswith("is empty")
        migrated(url, MIGRATIONS)
        _, after = doctor(folder, ORCHESTRATOR_DATABASE_URL=url)
    assert after["orchestrator schema"]["health"] == after["orchestrator database clock"]["health"] == "ok"


def test_without_a_folder_and_without_a_server_it_says_where_it_looked(tmp_path: Path) -> None:
    code, told = doctor(tmp_path / "nowhere")
    assert code == 0
    assert "imts up" in told["data folder"]["action"]
    assert not (tmp_path / "nowhere").exists()


def test_a_server_elsewhere_that_does_not_answer_is_a_fault(tmp_path: Path) -> None:
    code, told = doctor(tmp_path / "nowhere", IMTS_URL="http://127.0.0.1:9", IMTS_API_KEY="k")
    assert (code, told["orchestrator"]["health"]) == (1, "fail")
