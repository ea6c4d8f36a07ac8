"""A mesh is saved while it works, its machine is lost, and another one takes over: another disk, another database."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.databases import fresh_schema
from tests.mesh import Mesh, running_mesh
from tests.stories import add_example, assert_gapless, events, job, stream_to_end, submit, wait_for, wait_for_step

pytestmark = [pytest.mark.e2e, pytest.mark.mysql, pytest.mark.timeout(400)]


def imts(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imts", *words]
    environ = {**os.environ, **environment}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=200, check=False)


def done(*words: str, **environment: str) -> dict[str, Any]:
    ended = imts(*words, "--json", **environment)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


@dataclass
class Lost:
    """What there was on the lost machine when it was saved, and its backup."""

    backup: Path
    finished: str
    working: str
    log: list[dict[str, Any]]
    views: dict[str, Any]
    rows: dict[str, int]


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    folder = tmp_path_factory.mktemp("lost")
    with running_mesh(folder / "data") as mesh:
        add_example(mesh, folder / "example")
        finished = submit(mesh, maxSteps=30, outputName="tuned")
        wait_for(mesh, finished)
        log = stream_to_end(mesh, finished)
        working = submit(mesh, maxSteps=5000)
        wait_for_step(mesh, working, 20)
        saved = done("backup", str(folder / "saved.tar"), "--with-artifacts", "--data-dir", str(folder / "data"))
        paths = ("/api/models", "/api/datasets", f"/api/jobs/{finished}", f"/api/jobs/{finished}/history")
        views = {path: mesh.api.get(path).json() for path in paths}
        mesh.api.post(f"/api/jobs/{working}/stop")
        wait_for(mesh, working)
    rows = {name: count for part in saved["parts"] for name, count in part["rows"].items()}
    return Lost(folder / "saved.tar", finished, working, log, views, rows)


@pytest.fixture(scope="module")
def found(lost: Lost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("found") / "data"
    with ExitStack() as stack:
        databases = {
            "ORCHESTRATOR_DATABASE_URL": stack.enter_context(fresh_schema()),
            "STREAM_DATABASE_URL": stack.enter_context(fresh_schema()),
        }
        done("restore", str(lost.backup), "--data-dir", str(folder), **databases)
        again = imts("restore", str(lost.backup), "--data-dir", str(folder), **databases)
        assert (again.returncode, "is not empty" in again.stderr) == (1, True), again.stderr
        yield stack.enter_context(running_mesh(folder, databases))


def test_jobs_models_and_data_sets_are_the_same(lost: Lost, found: Mesh) -> None:
    assert {path: found.api.get(path).json() for path in lost.views} == lost.views
    assert lost.rows["jobs"] == 3


def test_the_log_of_a_finished_job_is_the_same_to_the_last_event(lost: Lost, found: Mesh) -> None:
    log = stream_to_end(found, lost.finished)
    assert_gapless(log)
    assert log == lost.log


def listen(mesh: Mesh, job_id: str, last_event_id: int) -> Iterator[tuple[str, str]]:
    """Event names and ids."""
    headers = {"last-event-id": str(last_event_id)}
    with mesh.stream.stream("GET", "/api/stream/metrics", params={"job_id": job_id}, headers=headers) as response:
        for frame in response.iter_lines():
            if frame.startswith(("id:", "event:")):
                yield tuple(frame.split(": ", 1))  # type: ignore[misc]


def test_a_listener_goes_on_where_it_was(lost: Lost, found: Mesh) -> None:
    heard = [int(value) for name, value in listen(found, lost.finished, 10) if name == "id"]
    assert heard[: len(lost.log) - 10] == list(range(11, len(lost.log) + 1))


def test_a_listener_that_heard_more_than_was_saved_is_told_to_begin_again(lost: Lost, found: Mesh) -> None:
    names = [value for name, value in listen(found, lost.finished, 10_000) if name == "event"]
    assert names[0] == "reset"


def test_a_job_that_was_running_ends_in_a_new_attempt_on_the_new_machine(lost: Lost, found: Mesh) -> None:
    view = wait_for(found, lost.working, "running", within_s=90)
    assert view["attempt"] == 2
    outcomes = [item["outcome"] for item in found.api.get(f"/api/jobs/{lost.working}/attempts").json()["data"]]
    assert outcomes[0] == "worker_lost"
    found.api.post(f"/api/jobs/{lost.working}/stop")
    assert wait_for(found, lost.working)["status"] == "stopped"
    assert_gapless(events(found, lost.working))


def test_the_restored_model_can_be_used(lost: Lost, found: Mesh) -> None:
    assert job(found, lost.finished)["status"] == "succeeded"
    fresh = submit(found, modelName="tuned", maxSteps=2)
    assert wait_for(found, fresh)["status"] == "succeeded"


def test_the_old_admin_key_is_known_by_its_hash_only(lost: Lost, found: Mesh) -> None:
    stranger = httpx.get(f"{found.url('orchestrator')}/api/jobs", headers={"authorization": "Bearer x"})
    assert stranger.status_code == 401
    assert found.api.get("/api/jobs").status_code == 200
