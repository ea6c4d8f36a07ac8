"""The stream service as a process of its own, to be killed and started again on one port and one log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.conftest import SERVICE_SECRET
from tests.ports import free_port
from tests.waiting import eventually


@dataclass
class StreamProcess:
    """One replica; what it prints is in `stream.log` in its folder."""

    folder: Path
    database_url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    command: tuple[str, ...] = (sys.executable, "-m", "services.stream")
    process: subprocess.Popen[bytes] | None = None
    began_at: float = 0.0
    """When the process was started, by the monotonic clock."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that serves now."""
        assert self.process is not None
        return self.process.pid

    def begin(self) -> None:
        """Start it, and do not wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"], "IMTS_SERVICE_SECRET": SERVICE_SECRET, "STREAM_DATA_DIR": str(self.folder),
            "STREAM_DATABASE_URL": self.database_url, "STREAM_PORT": str(self.port), "IMTS_LOG_FORMAT": "json",
            **self.environment,
        }  # fmt: skip
        with (self.folder / "stream.log").open("ab") as log:
            self.began_at = time.monotonic()
            self.process = subprocess.Popen(self.command, env=environment, stdout=log, stderr=log)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.begin()
        eventually(self.is_ready, within_s=60)

    def is_ready(self) -> bool:
        """Whether /readyz answers 200; fails when the process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, "the service ended; its log says why"
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def end(self) -> None:
        """Leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.kill()


@contextmanager
def stream_process(folder: Path, database_url: str = "", port: int = 0, **environment: str) -> Iterator[StreamProcess]:
    """A replica that is ready, and gone afterwards."""
    replica = StreamProcess(folder, database_url, environment, port or free_port())
    try:
        replica.start()
        yield replica
    finally:
        replica.end()
