"""The whole mesh as a user runs it: `imts up` as a process of its own, spoken to over HTTP."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.waiting import eventually

KEY = "imts-test-key-for-the-mesh"
PORTS = {"orchestrator": 8080, "training": 8001, "analyzer": 8002, "evaluator": 8003, "stream": 8004}
TERMINAL = {"succeeded", "failed", "stopped"}
_READY_S = 90.0


def free_offset() -> int:
    """A port offset at which all five ports are free; by chance, as others may be looking at the same moment."""
    for offset in random.sample(range(12_000, 21_900), 200):
        try:
            for port in PORTS.values():
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return offset
    raise AssertionError("no free ports")


@dataclass
class Mesh:
    """One `imts up` on one data folder; `api` and `stream` carry the admin key."""

    folder: Path
    offset: int = field(default_factory=free_offset)
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    program: str = "imts"
    """The module that is run."""

    def __post_init__(self) -> None:
        headers = {"authorization": f"Bearer {KEY}"}
        self.api = httpx.Client(base_url=self.url("orchestrator"), headers=headers, timeout=30, trust_env=False)
        self.stream = httpx.Client(base_url=self.url("stream"), headers=headers, timeout=30, trust_env=False)

    def url(self, service: str) -> str:
        """A service's address."""
        return f"http://127.0.0.1:{PORTS[service] + self.offset}"

    @property
    def cli_environment(self) -> dict[str, str]:
        """What the `imts` command needs to find this mesh."""
        return {**os.environ, "IMTS_URL": self.url("orchestrator"), "IMTS_API_KEY": KEY}

    def cli(self, *words: str) -> Any:
        """Run `imts … --json` and answer what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "imts", *words, "--json"],
            env=self.cli_environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def start(self) -> None:
        """Start `imts up` and wait until the orchestrator is ready."""
        self.launch()
        eventually(self.is_ready, within_s=_READY_S)

    def launch(self) -> None:
        """Start `imts up`, and do not wait."""
        log = (self.folder.parent / f"{self.folder.name}-up.log").open("ab")
        options = ["--no-remember", "--data-dir", str(self.folder), "--port-offset", str(self.offset)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.program, "up", *options],
            env={**os.environ, "IMTS_API_KEY": KEY, **self.environment},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()

    def is_ready(self) -> bool:
        """Whether the orchestrator's /readyz answers 200."""
        assert self.process is not None
        assert self.process.poll() is None, "imts up ended; see its log"
        try:
            return self.api.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """SIGTERM to `imts up`, as Ctrl-C or a host's shutdown would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def pid_of(self, service: str) -> int:
        """The process that `imts up` keeps for this service now."""
        return int(json.loads((self.folder / "run" / f"{service}.json").read_text())["pid"])

    def titled(self, title: str) -> list[psutil.Process]:
        """Living processes with this exact title; attempt ids in titles are unique across meshes."""
        return [process for process in psutil.process_iter() if _title(process) == title]

    def attempts(self) -> list[psutil.Process]:
        """Living shepherds and engines of this mesh's attempts."""
        ids = {f"{path.parent.name}.{path.name}" for path in self.folder.glob("*/jobs/*/[0-9]*")}
        return [process for process in psutil.process_iter() if _title(process).rpartition(":")[2] in ids]

    def kill_service(self, service: str) -> int:
        """kill -9 one service; answers the pid that died."""
        process = psutil.Process(self.pid_of(service))
        assert _title(process) == f"imts:{service}"
        process.kill()
        return process.pid

    def wait_for_new(self, service: str, old_pid: int) -> None:
        """Wait until `imts up` has a new process of this service and it answers."""
        eventually(lambda: self.pid_of(service), lambda pid: pid != old_pid, 30)
        eventually(lambda: answers(self.url(service) + "/healthz"), within_s=30)

    def end(self) -> None:
        """Stop what is left, by pid, and only what is ours."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        for process in self.attempts():
            process.kill()
        self.api.close()
        self.stream.close()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip("\0 ")
    except psutil.Error:
        return ""


def answers(url: str) -> bool:
    """Whether something at `url` answers 200."""
    try:
        return httpx.get(url, trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def running_mesh(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Mesh]:
    """A mesh that is ready, and gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    mesh = Mesh(folder, environment=environment or {})
    try:
        mesh.start()
        yield mesh
    finally:
        mesh.end()
