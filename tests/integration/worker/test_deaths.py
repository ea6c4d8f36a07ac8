"""Who dies, who reports, what goes on: every process of a worker killed in turn."""

import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from shared.contracts.work import AttemptState, ExitReport, Outcome
from shared.worker.liveness import is_held
from tests.fakes.stream_peer import StreamPeer
from tests.integration.worker.conftest import WorkerFactory, WorkerProcess, attempt_spec, is_running, read
from tests.waiting import eventually

pytestmark = pytest.mark.chaos


def _ended(worker: WorkerProcess, spec_id: str) -> ExitReport:
    answer = eventually(lambda: worker.http.get(f"/jobs/{spec_id}/result"), lambda a: a.status_code == 200, within_s=20)
    return ExitReport.model_validate_json(answer.content)


def _titles(pid: int) -> list[str]:
    """Of a shepherd and its engine, while they live and bear one."""
    try:
        shepherd = psutil.Process(pid)
        found = [process.cmdline()[:1] for process in (shepherd, *shepherd.children())]
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
    return [title for titles in found for title in titles if title.startswith("imts:")]


def test_a_job_outlives_its_killed_service_and_is_adopted(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=400, wait_s=0.01)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    pids = worker.pids(spec)
    worker.kill()
    assert is_running(pids["engine_pid"])
    worker.start()
    assert worker.put(spec).status_code == 200
    assert worker.view(spec).state is AttemptState.RUNNING
    assert worker.pids(spec) == pids
    assert _ended(worker, spec.attempt_id).outcome is Outcome.SUCCEEDED
    eventually(worker.folder(spec).reported.exists)
    assert peer.steps(spec.attempt_id) == list(range(1, 401))
    assert len((worker.folder(spec).work / "runs").read_text().splitlines()) == 1


def test_an_end_without_the_service_is_reported_at_its_next_start(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=100, wait_s=0.01)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    worker.kill()
    eventually(worker.folder(spec).exit.exists)
    assert not worker.folder(spec).reported.exists()
    worker.start()
    eventually(worker.folder(spec).reported.exists)
    assert peer.steps(spec.attempt_id) == list(range(1, 101))
    assert worker.view(spec).progress.step == 100


def test_a_killed_engine_is_an_infrastructure_failure(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=5000)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    os.kill(worker.pids(spec)["engine_pid"], signal.SIGKILL)
    report = _ended(worker, spec.attempt_id)
    assert (report.outcome, report.signal, report.code) == (Outcome.FAILED, 9, None)
    assert report.failure is not None
    assert (report.failure.reason, report.failure.retryable) == ("engine_killed", True)
    eventually(worker.folder(spec).reported.exists)
    last = peer.events[spec.attempt_id][-1]
    assert (last.event_type, last.data["signal"]) == ("attempt_ended", 9)
    assert report.last_seq == len(peer.events[spec.attempt_id])


def test_a_torn_last_line_never_reaches_the_log(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=10, at=5, do="tear")
    worker.put(spec)
    report = _ended(worker, spec.attempt_id)
    eventually(worker.folder(spec).reported.exists)
    assert peer.steps(spec.attempt_id) == [1, 2, 3, 4, 5]
    assert report.last_seq == 7
    assert [event.event_type for event in peer.events[spec.attempt_id]][-2:] == ["metrics_update", "attempt_ended"]


@pytest.mark.parametrize("service_lives", [True, False])
def test_a_dead_shepherd_takes_its_engine_along_and_the_worker_is_lost(
    start_worker: WorkerFactory, peer: StreamPeer, service_lives: bool
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=50_000, forks=True)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    helpers = [int(pid) for pid in (worker.folder(spec).work / "helpers").read_text().strip("[]").split(",")]
    pids = worker.pids(spec)
    if not service_lives:
        worker.kill()
    os.kill(pids["pid"], signal.SIGKILL)
    eventually(lambda: not is_running(pids["engine_pid"]))
    if not service_lives:
        worker.start()
    report = _ended(worker, spec.attempt_id)
    assert report.outcome is Outcome.WORKER_LOST
    assert not [pid for pid in helpers if is_running(pid)]
    eventually(worker.folder(spec).reported.exists)
    assert peer.events[spec.attempt_id][-1].event_type == "attempt_ended"
    assert len(peer.events[spec.attempt_id]) == report.last_seq


def test_a_second_shepherd_goes_away_without_ever_bearing_the_attempts_name(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=300, wait_s=0.01)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    folder = worker.folder(spec)
    line = f'{{"folder": "{folder.path}", "artifacts_url": "/", "cache": "/", "stop_grace_s": 1}}\n'
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "shared.worker.shepherd", "tests.fakes.engines", spec.attempt_id]
        second = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)
        ours.sendall(line.encode())
        looks: list[list[str]] = []

        def is_over() -> bool:
            looks.append(_titles(second.pid))
            return second.poll() is not None

        eventually(is_over, within_s=20)
        assert second.returncode == os.EX_TEMPFAIL
    assert {title for titles in looks for title in titles} == {
        f"imts:starting-shepherd:{spec.attempt_id}", f"imts:starting-engine:{spec.attempt_id}",
    }  # fmt: skip
    assert _ended(worker, spec.attempt_id).outcome is Outcome.SUCCEEDED
    assert len((folder.work / "runs").read_text().splitlines()) == 1


def test_an_attempt_written_down_but_never_started_is_started_by_the_next_service(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=3)
    worker.kill()
    folder = worker.folder(spec)
    folder.path.mkdir(parents=True)
    folder.spec.write_text(spec.model_dump_json())
    worker.start()
    assert _ended(worker, spec.attempt_id).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("spares", [0, 1])
def test_an_engine_that_cannot_even_be_imported_says_so_in_its_log(start_worker: WorkerFactory, spares: int) -> None:
    worker = start_worker(engine="tests.fakes.no_such_engine", spares=spares)
    spec = attempt_spec()
    worker.put(spec)
    report = _ended(worker, spec.attempt_id)
    assert report.failure is not None
    assert report.failure.reason == "bad_installation"
    assert "No module named" in worker.http.get(f"/jobs/{spec.attempt_id}/log").json()["text"]


def test_a_spare_whose_engine_dies_waiting_is_not_used(start_worker: WorkerFactory) -> None:
    worker = start_worker(spares=1)
    eventually(lambda: worker.http.get("/capacity").json()["spares"], within_s=20)
    assert worker.process is not None
    shepherd, engine = psutil.Process(worker.process.pid).children(recursive=True)
    engine.kill()
    eventually(lambda: not is_running(shepherd.pid))
    spec = attempt_spec(events=3)
    worker.put(spec)
    assert _ended(worker, spec.attempt_id).outcome is Outcome.SUCCEEDED


def test_an_unused_spare_goes_when_its_service_is_killed(start_worker: WorkerFactory) -> None:
    worker = start_worker(spares=1)
    eventually(lambda: worker.http.get("/capacity").json()["spares"], within_s=20)
    assert worker.process is not None
    family = psutil.Process(worker.process.pid).children(recursive=True)
    assert {process.cmdline()[0] for process in family} == {"imts:shepherd:spare", "imts:engine:spare"}
    worker.kill()
    eventually(lambda: not [process.pid for process in family if is_running(process.pid)])


def test_sigterm_leaves_jobs_running_by_default(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=5000, wait_s=0.01)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    worker.kill(signal.SIGTERM)
    assert is_held(worker.folder(spec).lock)
    os.kill(worker.pids(spec)["pid"], signal.SIGTERM)
    eventually(worker.folder(spec).exit.exists)
    assert read(worker.folder(spec).exit)["outcome"] == "preempted"


def test_sigterm_drains_where_it_is_told_to(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker(on_sigterm="drain")
    spec = attempt_spec(events=5000, wait_s=0.01, on_sigterm="checkpoint")
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    worker.kill(signal.SIGTERM)
    assert read(worker.folder(spec).exit)["outcome"] == "preempted"
    assert worker.folder(spec).reported.exists()
    assert (worker.folder(spec).work / "checkpoint").exists()
    assert peer.events[spec.attempt_id][-1].event_type == "attempt_ended"


def test_a_drain_refuses_new_attempts(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker(slots=2)
    spec = attempt_spec(events=5000)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    assert worker.http.post("/drain").json()["draining"] is True
    refused = worker.put(attempt_spec(events=1))
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert worker.http.get("/readyz").status_code == 503
    assert _ended(worker, spec.attempt_id).outcome is Outcome.PREEMPTED
