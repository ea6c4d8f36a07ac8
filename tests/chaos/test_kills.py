"""Anything may be killed with signal 9 while a job runs, and nothing is lost or done twice."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.mesh import PORTS, Mesh, running_mesh
from tests.stories import (
    add_example,
    assert_gapless,
    events,
    losses,
    metric_steps,
    stream_to_end,
    submit,
    wait_for,
    wait_for_step,
)
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

STEPS = 600
"""A few seconds of work: long enough for a service to die and come back meanwhile."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("mesh")
    with running_mesh(folder / "data") as started:
        add_example(started, folder / "example")
        yield started


def _long_job(mesh: Mesh) -> str:
    job_id = submit(mesh, maxSteps=STEPS, epochs=100, saveSteps=50)
    wait_for_step(mesh, job_id, 20)
    return job_id


def _engine(mesh: Mesh, job_id: str, attempt: int = 1) -> psutil.Process:
    (engine,) = mesh.titled(f"imts:engine:{job_id}.{attempt}")
    return engine


@pytest.mark.parametrize("service", sorted(PORTS))
def test_a_service_killed_while_a_job_runs_changes_nothing_for_the_job(mesh: Mesh, service: str) -> None:
    job_id = _long_job(mesh)
    engine = _engine(mesh, job_id)
    mesh.wait_for_new(service, mesh.kill_service(service))
    view = wait_for(mesh, job_id)
    assert (view["status"], view["attempt"]) == ("succeeded", 1), view
    assert not engine.is_running()
    log = stream_to_end(mesh, job_id)
    assert_gapless(log)
    assert metric_steps(log) == {1: list(range(1, STEPS + 1))}


def test_a_killed_engine_resumes_from_its_checkpoint_in_a_new_attempt(mesh: Mesh) -> None:
    job_id = submit(mesh, maxSteps=STEPS, epochs=100, saveSteps=50)
    wait_for_step(mesh, job_id, 120)
    _engine(mesh, job_id).send_signal(signal.SIGKILL)
    view = wait_for(mesh, job_id)
    assert (view["status"], view["attempt"]) == ("succeeded", 2), view
    log = events(mesh, job_id)
    assert_gapless(log)
    (rewound,) = [event for event in log if event["event_type"] == "training_rewound"]
    steps = metric_steps(log)
    assert rewound["attempt"] == 2
    assert rewound["data"]["to_step"] >= 50
    assert steps[2][0] == rewound["data"]["to_step"] + 1
    assert sorted(losses(log)) == list(range(1, STEPS + 1))


def test_a_killed_shepherd_takes_its_engine_along_and_the_job_resumes(mesh: Mesh) -> None:
    job_id = submit(mesh, maxSteps=STEPS, epochs=100, saveSteps=50)
    wait_for_step(mesh, job_id, 60)
    engine = _engine(mesh, job_id)
    (shepherd,) = mesh.titled(f"imts:shepherd:{job_id}.1")
    shepherd.kill()
    eventually(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE, within_s=5)
    view = wait_for(mesh, job_id)
    assert (view["status"], view["attempt"]) == ("succeeded", 2), view
    assert sorted(losses(events(mesh, job_id))) == list(range(1, STEPS + 1))


def test_a_mesh_that_is_told_to_end_checkpoints_and_the_next_one_resumes(tmp_path: Path) -> None:
    with running_mesh(tmp_path / "data") as first:
        add_example(first, tmp_path / "example")
        job_id = submit(first, maxSteps=STEPS, epochs=100, saveSteps=50)
        wait_for_step(first, job_id, 70)
        assert first.stop() == 0
        assert first.attempts() == []
        first.start()
        view = wait_for(first, job_id)
        assert (view["status"], view["attempt"]) == ("succeeded", 2), view
        log = events(first, job_id)
    assert_gapless(log)
    assert sorted(losses(log)) == list(range(1, STEPS + 1))


def test_a_killed_supervisor_is_replaced_while_services_and_jobs_run_on(tmp_path: Path) -> None:
    with running_mesh(tmp_path / "data") as mesh:
        add_example(mesh, tmp_path / "example")
        job_id = submit(mesh, maxSteps=STEPS, epochs=100, saveSteps=50)
        wait_for_step(mesh, job_id, 20)
        assert mesh.process is not None
        os.kill(mesh.process.pid, signal.SIGKILL)
        mesh.process.wait(10)
        mesh.start()
        view = wait_for(mesh, job_id)
        assert (view["status"], view["attempt"]) == ("succeeded", 1), view
        assert metric_steps(stream_to_end(mesh, job_id)) == {1: list(range(1, STEPS + 1))}
