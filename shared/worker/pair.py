"""A shepherd with its engine, as the service that started them sees it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from shared.contracts.work import AttemptSpec
from shared.worker.processes import SPARE

OtherEngine = Callable[[AttemptSpec], str | None]
_LOW_PRIORITY = 10


def common_engine(_: AttemptSpec) -> None:
    """For services that have one engine."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The line that hands a job to a waiting pair."""

    folder: str
    artifacts_url: str
    cache: str
    stop_grace_s: float
    output_bytes: int

    def line(self) -> bytes:
        """As sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How pairs are started."""

    engine: str
    environment: dict[str, str]
    other_engine: OtherEngine = common_engine
    """Which module does an attempt's work where `engine` does not; no spare waits for such an attempt."""
    visible: dict[str, str] = field(default_factory=dict)
    """Which devices they see, in further variables; empty leaves it to the environment."""

    def fitting(self, spec: AttemptSpec) -> "Recipe":
        """The one for this attempt: this very one where the common engine does its work."""
        module = self.other_engine(spec)
        return self if module is None else replace(self, engine=module)


class Pair:
    """Started now; works once a job is assigned, ends if this process goes before."""

    def __init__(self, recipe: Recipe, log: Path, label: str = SPARE, *, low_priority: bool = False) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "shared.worker.shepherd", recipe.engine, label]
        with theirs, log.open("ab") as output:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                env={**recipe.environment, **recipe.visible},
                start_new_session=True,
            )
        self.visible = recipe.visible
        ours.setblocking(False)
        self._socket = ours
        self._is_ready = False
        if low_priority:
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _LOW_PRIORITY)

    @property
    def pid(self) -> int:
        """The shepherd's."""
        return self._process.pid

    def is_ready(self) -> bool:
        """Whether the engine has done its imports."""
        if not self._is_ready:
            try:
                self._is_ready = bool(self._socket.recv(64))
            except OSError:
                return False
        return self._is_ready

    def is_gone(self) -> bool:
        """Whether the shepherd has ended; reaps it."""
        return self._process.poll() is not None

    def assign(self, assignment: Assignment) -> bool:
        """Hand over a job; false when the pair is gone. The pair no longer depends on this process after it."""
        try:
            self._socket.sendall(assignment.line())
        except OSError:
            return False
        finally:
            self._socket.close()
        return True

    def dismiss(self, within_s: float = 5.0) -> None:
        """End an unused pair."""
        self._socket.close()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
