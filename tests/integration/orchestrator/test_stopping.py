"""A stop is honoured in every phase, and never undone."""

import pytest

from shared.contracts.work import Control, Outcome
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually


def test_a_waiting_job_stops_at_once(mesh: Mesh) -> None:
    mesh.worker.is_silent = True
    job_id = mesh.submit()
    assert mesh.ask(job_id, "stop").json()["status"] == "stopped"
    mesh.worker.is_silent = False
    other = mesh.submit()
    mesh.until(other, "running")
    assert mesh.job(job_id)["status"] == "stopped"
    assert all(not attempt_id.startswith(job_id) for attempt_id in mesh.worker.starts)


def test_a_starting_job_stops_although_its_worker_never_answered(mesh: Mesh) -> None:
    mesh.worker.runs_at_once = False
    job_id = mesh.submit()
    mesh.until(job_id, "starting")
    eventually(lambda: mesh.worker.starts)
    assert mesh.ask(job_id, "stop").json()["status"] == "stopping"
    mesh.until(job_id, "stopped")
    assert (f"{job_id}.1", Control.STOP) in mesh.worker.controls


def test_a_running_job_stops_when_its_worker_says_so(mesh: Mesh) -> None:
    mesh.worker.obeys = False
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    assert mesh.ask(job_id, "stop").json()["status"] == "stopping"
    eventually(lambda: len(mesh.worker.controls) > 1)
    assert mesh.job(job_id)["status"] == "stopping"
    mesh.worker.end(f"{job_id}.1", Outcome.STOPPED, last_seq=0)
    mesh.until(job_id, "stopped")
    assert mesh.history(job_id) == ["queued", "starting", "running", "stopping", "stopped"]


def test_a_paused_job_can_be_stopped(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.ask(job_id, "pause")
    mesh.until(job_id, "paused")
    assert mesh.ask(job_id, "stop").json()["status"] == "stopped"


def test_a_pausing_job_can_be_stopped(mesh: Mesh) -> None:
    mesh.worker.obeys = False
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    assert mesh.ask(job_id, "pause").json()["status"] == "pausing"
    assert mesh.ask(job_id, "stop").json()["status"] == "stopping"
    mesh.worker.end(f"{job_id}.1", Outcome.PAUSED)
    mesh.until(job_id, "stopped")


def test_stopping_a_job_that_is_over_changes_nothing(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(job_id, "succeeded")
    answer = mesh.ask(job_id, "stop")
    assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_job_that_is_over_cannot_be_paused_or_resumed(mesh: Mesh, verb: str) -> None:
    job_id = mesh.submit()
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    answer = mesh.ask(job_id, verb)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_stopped")


def test_work_that_was_done_before_the_stop_arrived_counts(mesh: Mesh) -> None:
    mesh.worker.obeys = False
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.ask(job_id, "stop")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    assert mesh.until(job_id, "succeeded", "stopped")["status"] == "succeeded"
