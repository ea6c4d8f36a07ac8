"""A worker service as a real process, with a log to report to."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from shared.contracts.base import JsonObject
from shared.contracts.work import AttemptSpec, AttemptView, JobKind
from shared.kit.auth import ServiceTokens
from shared.kit.ids import new_id
from shared.worker.folder import AttemptFolder
from tests.conftest import SERVICE_SECRET
from tests.fakes.stream_peer import StreamPeer
from tests.waiting import eventually


def attempt_spec(job_id: str = "", number: int = 1, **spec: Any) -> AttemptSpec:
    """An attempt for the tiny engine."""
    job_id = job_id or new_id("job")
    body: JsonObject = dict(spec)
    return AttemptSpec(attempt_id=f"{job_id}.{number}", job_id=job_id, number=number, kind=JobKind.TRAINING, spec=body)


class WorkerProcess:
    """Starts, kills and restarts the service on one data folder and port."""

    def __init__(self, data_dir: Path, peer: StreamPeer, **settings: object) -> None:
        self.data_dir = data_dir
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._environment = {
            "PATH": os.environ["PATH"], "IMTS_SERVICE_SECRET": SERVICE_SECRET, "IMTS_STREAM_URL": peer.url,
            "IMTS_ORCHESTRATOR_URL": peer.url, "WORKER_DATA_DIR": str(data_dir), "WORKER_PORT": str(self.port),
            **{f"WORKER_{name.upper()}": str(value) for name, value in settings.items()},
        }  # fmt: skip
        token = ServiceTokens("orchestrator", SERVICE_SECRET).issue("worker")
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"authorization": f"Bearer {token}"}, timeout=10,
            trust_env=False,
        )  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it is ready."""
        with (self.data_dir.parent / "service.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.fakes.worker_service"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        eventually(self._is_ready, within_s=30)

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def folder(self, spec: AttemptSpec) -> AttemptFolder:
        """Where an attempt lies."""
        return AttemptFolder(self.data_dir / "jobs" / spec.job_id / str(spec.number))

    def put(self, spec: AttemptSpec) -> httpx.Response:
        """Hand over an attempt."""
        headers = {"content-type": "application/json"}
        return self.http.put(f"/jobs/{spec.attempt_id}", content=spec.model_dump_json(), headers=headers)

    def view(self, spec: AttemptSpec) -> AttemptView:
        """Where an attempt is."""
        return AttemptView.model_validate_json(self.http.get(f"/jobs/{spec.attempt_id}").content)

    def pids(self, spec: AttemptSpec) -> dict[str, int]:
        """The shepherd's and the engine's process ids, once they are known."""
        folder = self.folder(spec)
        eventually(folder.shepherd.exists)
        return {name: int(value) for name, value in read(folder.shepherd).items() if name.endswith("pid")}


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def peer() -> Iterator[StreamPeer]:
    """The log, serving."""
    peer = StreamPeer()
    peer.start()
    yield peer
    peer.stop()


class WorkerFactory:
    """Makes workers of one test and cleans up what they leave."""

    def __init__(self, folder: Path, peer: StreamPeer) -> None:
        self._data_dir = folder / "data"
        self._data_dir.mkdir()
        self._peer = peer
        self._made: list[WorkerProcess] = []

    def __call__(self, **settings: object) -> WorkerProcess:
        worker = WorkerProcess(self._data_dir, self._peer, **settings)
        self._made.append(worker)
        worker.start()
        return worker

    def close(self) -> None:
        """End services, then shepherds and engines by the ids their folders name."""
        for worker in self._made:
            worker.http.close()
            if worker.process is not None and worker.process.poll() is None:
                worker.kill()
        for path in self._data_dir.glob("jobs/*/*/shepherd.json"):
            facts = read(path)
            if is_running(facts["pid"]) and not path.with_name("exit.json").exists():
                os.kill(facts["pid"], signal.SIGKILL)


@pytest.fixture
def start_worker(tmp_path: Path, peer: StreamPeer) -> Iterator[WorkerFactory]:
    """Start a worker service with settings by keyword."""
    factory = WorkerFactory(tmp_path, peer)
    yield factory
    factory.close()
