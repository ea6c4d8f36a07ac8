"""Real trainings that really fail, on a whole mesh: whose fault it is, on what evidence, and what then helps."""

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines import limit_memory
from tests.mesh import Mesh, running_mesh
from tests.stories import add_example, assert_gapless, events, job, stream_to_end, submit, wait_for, wait_for_step
from tests.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LONG = {"maxSteps": 2000, "epochs": 1000, "maxRetries": 0}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("mesh")
    with running_mesh(folder / "data", {"ORCHESTRATOR_RETRY_BACKOFF_S": "0.1"}) as started:
        add_example(started, folder / "example")
        yield started


def engine(mesh: Mesh, job_id: str) -> int:
    """The process of the job's first attempt, once all is loaded and the training begins."""
    eventually(lambda: [event for event in events(mesh, job_id) if event["event_type"] == "progress"], within_s=90)
    (found,) = mesh.titled(f"imts:engine:{job_id}.1")
    return found.pid


def failure_of(mesh: Mesh, job_id: str) -> dict[str, Any]:
    """Why the job failed; the event of its attempt's end says the same."""
    view = wait_for(mesh, job_id)
    assert (view["status"], view["attempt"]) == ("failed", 1), view
    told = [event["data"]["failure"] for event in events(mesh, job_id) if event["event_type"] == "attempt_ended"]
    assert [failure["reason"] for failure in told] == [view["failure"]["reason"]]
    assert str(mesh.folder) not in str(view["failure"])
    return dict(view["failure"])


def _little_memory(pid: int) -> None:
    limit_memory(pid, 48 * 2**20)


def _little_disk(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    ("limit", "fields", "reason", "patch"),
    [
        (
            _little_memory,
            {"batchSize": 1024, "oomRecovery": False},
            "out_of_memory_host",
            {"batchSize": 512, "gradientAccumulationSteps": 2},
        ),
        (_little_disk, {"saveSteps": 5}, "disk_full", {"keepCheckpoints": 1}),
    ],
)
def test_a_machine_without_room_is_told_from_the_users_fault(
    mesh: Mesh, limit: Callable[[int], None], fields: dict[str, Any], reason: str, patch: dict[str, Any]
) -> None:
    job_id = submit(mesh, **{**LONG, **fields})
    limit(engine(mesh, job_id))
    failure = failure_of(mesh, job_id)
    assert (failure["class"], failure["reason"], failure["retryable"]) == ("infrastructure", reason, True), failure
    assert failure["suggestion"]["patch"] == patch
    assert {"exit", "log"} <= {item["source"] for item in failure["evidence"]}


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [(signal.SIGKILL, "infrastructure", "engine_killed"), (signal.SIGSEGV, "platform", "engine_crashed")],
)
def test_an_engine_that_dies_of_a_signal_is_told_by_it_and_tried_again(
    mesh: Mesh, number: signal.Signals, kind: str, reason: str
) -> None:
    job_id = submit(mesh, maxSteps=300, epochs=100, saveSteps=50)
    wait_for_step(mesh, job_id, 60)
    os.kill(engine(mesh, job_id), number)
    view = wait_for(mesh, job_id)
    assert (view["status"], view["attempt"], view["failure"]) == ("succeeded", 2, None), view
    first = mesh.api.get(f"/api/training/jobs/{job_id}/attempts").json()["data"][0]
    assert (first["failure"]["class"], first["failure"]["reason"]) == (kind, reason)
    figures = {item["source"]: item["figures"] for item in first["failure"]["evidence"]}
    assert figures["exit"]["signal"] == number
    assert figures["event"]["step"] >= 60


def test_a_killed_shepherd_is_a_lost_worker(mesh: Mesh) -> None:
    job_id = submit(mesh, maxSteps=300, epochs=100, saveSteps=50)
    wait_for_step(mesh, job_id, 60)
    (shepherd,) = mesh.titled(f"imts:shepherd:{job_id}.1")
    shepherd.kill()
    view = wait_for(mesh, job_id)
    assert (view["status"], view["attempt"]) == ("succeeded", 2), view
    first = mesh.api.get(f"/api/training/jobs/{job_id}/attempts").json()["data"][0]
    assert (first["outcome"], first["failure"]["reason"]) == ("worker_lost", "worker_lost")


def test_a_diverged_loss_is_the_users_fault_and_the_patch_mends_it(mesh: Mesh) -> None:
    wild = {
        "learningRate": 1.0, "finetuningType": "full", "maxGradNorm": 1000.0, "weightDecay": 10.0, "epochs": 50,
        "lossWatchdog": "off",
    }  # fmt: skip
    job_id = submit(mesh, **wild, maxSteps=200)
    failure = failure_of(mesh, job_id)
    assert failure["class"] == "user"
    assert failure["reason"] in {"loss_diverged", "loss_not_finite"}, failure
    patch = failure["suggestion"]["patch"]
    assert patch["learningRate"] < 1
    lost = [item for item in failure["evidence"] if item["source"] == "event"]
    lost_figures = lost[0]["text"].partition("not finite:")[2]
    assert "train_loss" in lost_figures or "gradient_norm" in lost_figures
    assert_gapless(stream_to_end(mesh, job_id))
    spec = job(mesh, job_id)["spec"] | patch | {"learningRate": 1e-3, "weightDecay": 0.0, "maxSteps": 10}
    answer = mesh.api.post("/api/training/jobs", json=spec)
    assert answer.status_code == 202, answer.text
    assert wait_for(mesh, answer.json()["jobId"])["status"] == "succeeded"


def test_rows_that_are_all_cut_away_fail_at_once_and_the_patch_is_a_longer_cutoff(mesh: Mesh, tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "many words " * 50}, {"role": "assistant", "content": "yes"}]}
    (tmp_path / "long.jsonl").write_text(f"{json.dumps(row)}\n" * 3)
    with (tmp_path / "long.jsonl").open("rb") as stream:
        answer = mesh.api.post("/api/datasets", files={"file": stream}, data={"name": "long"})
    assert answer.status_code == 201, answer.text
    failure = failure_of(mesh, submit(mesh, dataset="long", cutoffLen=8))
    assert (failure["class"], failure["reason"]) == ("user", "cutoff_too_short")
    assert failure["suggestion"]["patch"] == {"cutoffLen": 16}


def test_a_stopped_job_says_that_a_user_stopped_it(mesh: Mesh) -> None:
    job_id = submit(mesh, **LONG)
    wait_for_step(mesh, job_id, 5)
    waiting = submit(mesh, **LONG)
    for stopped in (waiting, job_id):
        assert mesh.api.post(f"/api/jobs/{stopped}/stop").status_code == 202
        view = wait_for(mesh, stopped)
        assert (view["status"], view["failure"]["reason"]) == ("stopped", "stopped_by_user")
