"""The orchestrator with two real worker services and their real processes: placement, deaths, and engines that hang."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.worker.folder import AttemptFolder
from tests.fakes.stream_peer import StreamPeer
from tests.integration.orchestrator.mesh import Mesh
from tests.integration.orchestrator.registry import NOBODY
from tests.integration.worker.conftest import WorkerProcess, is_running, read
from tests.waiting import eventually

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class RealWorkers:
    """A mesh whose training service is two processes, `left` and `right`, of one slot each."""

    def __init__(self, mesh: Mesh, folder: Path, log: StreamPeer) -> None:
        self.mesh = mesh
        self.processes = {name: self._start(folder / name / "data", log) for name in ("left", "right")}
        addresses = [f"{name}={process.http.base_url}".rstrip("/") for name, process in self.processes.items()]
        nobody = dict.fromkeys(("analyzer_url", "evaluator_url", "stream_url"), NOBODY)
        mesh.settings = mesh.settings.model_copy(update={"training_url": ",".join(addresses), **nobody})
        mesh.has_fakes = False
        mesh.restart()

    def _start(self, data_dir: Path, log: StreamPeer) -> WorkerProcess:
        data_dir.mkdir(parents=True)
        process = WorkerProcess(data_dir, log, service="training", engine="tests.fakes.slow_engine", stop_grace_s=1)
        process.start()
        return process

    def folder(self, job_id: str, worker: str, attempt: int = 1) -> AttemptFolder:
        """Where an attempt lies on a worker's disk."""
        return AttemptFolder(self.processes[worker].data_dir / "jobs" / job_id / str(attempt))

    def engine_of(self, job_id: str, worker: str) -> int:
        """The process id of the first attempt's engine, once it has written an event."""
        folder = self.folder(job_id, worker)
        eventually(lambda: folder.events.exists() and folder.events.stat().st_size)
        return int(read(folder.shepherd)["engine_pid"])

    def end(self) -> None:
        """Services first, then every pair that is left, by the ids that the folders name."""
        self.mesh.stop()
        for process in self.processes.values():
            process.http.close()
            if process.process is not None and process.process.poll() is None:
                process.kill()
            for path in process.data_dir.glob("jobs/*/*/shepherd.json"):
                facts = read(path)
                if is_running(facts["pid"]) and not path.with_name("exit.json").exists():
                    os.kill(facts["pid"], signal.SIGKILL)


@pytest.fixture
def real(mesh: Mesh, tmp_path: Path) -> Iterator[RealWorkers]:
    log = StreamPeer()
    log.start()
    workers = RealWorkers(mesh, tmp_path, log)
    yield workers
    workers.end()
    log.stop()


def test_two_workers_share_the_jobs_and_each_is_asked_about_its_own(real: RealWorkers) -> None:
    mesh = real.mesh
    jobs = [mesh.submit() for _ in range(2)]
    where = {mesh.until(job_id, "running")["worker"]: job_id for job_id in jobs}
    assert set(where) == {"left", "right"}
    for worker, job_id in where.items():
        assert real.folder(job_id, worker).spec.exists()
    real.processes["left"].kill()
    third = mesh.submit(maxSteps=5)
    eventually(lambda: mesh.job(where["left"])["unreachableSince"])
    mesh.ask(where["right"], "stop")
    assert mesh.until(third, "succeeded")["worker"] == "right"
    real.processes["left"].start()
    mesh.ask(where["left"], "stop")
    mesh.until(where["left"], "stopped")
    assert [len(mesh.attempts(job_id)) for job_id in (*jobs, third)] == [1, 1, 1]


def test_a_hung_engine_is_ended_and_the_job_tried_again(real: RealWorkers) -> None:
    mesh = real.mesh
    job_id = mesh.submit(noProgressTimeoutS=2, maxRetries=1)
    worker = mesh.until(job_id, "running")["worker"]
    engine = real.engine_of(job_id, worker)
    os.kill(engine, signal.SIGSTOP)
    ended = eventually(lambda: mesh.attempts(job_id)[0], lambda attempt: attempt["outcome"] is not None, 15)
    assert (ended["outcome"], ended["failure"]["reason"]) == ("failed", "no_progress")
    assert not is_running(engine)
    again = eventually(lambda: mesh.job(job_id), lambda job: job["attempt"] == 2 and job["status"] == "running")
    assert again["worker"] == worker
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")


def test_an_engine_that_takes_too_long_is_ended_for_good(real: RealWorkers) -> None:
    failed = real.mesh.until(real.mesh.submit(runTimeoutS=1), "failed", within_s=20)
    assert failed["failure"]["reason"] == "run_timeout"
    assert (failed["attempt"], failed["failure"]["class"]) == (1, "user")
    assert failed["why"] == "run_timeout: attempt 1 ran for 1 s, the most it may"


def test_an_engine_that_keeps_writing_is_left_alone(real: RealWorkers) -> None:
    job_id = real.mesh.submit(noProgressTimeoutS=1, runTimeoutS=60, maxSteps=120)
    assert real.mesh.until(job_id, "succeeded", "failed", within_s=20)["status"] == "succeeded"
