"""What an engine is given to do its work, and what it gives back."""

import errno
import json
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from shared.contracts.base import JsonObject, WireModel
from shared.contracts.events import LOG, MAX_EVENT_BYTES, finite
from shared.contracts.failures import Reason
from shared.contracts.work import Artifact, AttemptSpec, Control, Failure, Outcome
from shared.kit.artifacts import ArtifactStore
from shared.worker.folder import AttemptFolder
from shared.worker.journal import count_lines, cut_torn_line

_ENCODE = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_OUTCOMES = {Control.STOP: Outcome.STOPPED, Control.PAUSE: Outcome.PAUSED, Control.PREEMPT: Outcome.PREEMPTED}


class EngineFault(Exception):
    """The engine knows why it cannot go on, better than an exception's words could tell."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class UserFault(EngineFault):
    """The job cannot succeed as the user asked for it; trying again would not help."""


class Result(WireModel):
    """How an engine ended its work: facts for the orchestrator, and what it left in the artifact store."""

    outcome: Outcome = Outcome.SUCCEEDED
    result: JsonObject = {}
    artifacts: list[Artifact] = []
    failure: Failure | None = None

    @classmethod
    def of_control(
        cls, control: Control, result: JsonObject | None = None, artifacts: list[Artifact] | None = None
    ) -> "Result":
        """The end that was asked for: stop → stopped, pause → paused, preempt → preempted."""
        return cls(outcome=_OUTCOMES[control], result=result or {}, artifacts=artifacts or [])


class Attempt:
    """One try at a job, seen from inside its engine; the only writer of its events while the engine lives."""

    def __init__(self, spec: AttemptSpec, folder: Path, work: Path, store: ArtifactStore) -> None:
        self.spec = spec
        self.folder = folder
        """Of this attempt only."""
        self.work = work
        """Shared by all attempts of the job, and the engine's current directory: checkpoints live here."""
        self.store = store
        self._paths = AttemptFolder(folder)
        self.scratch = self._paths.scratch
        """For what nobody needs afterwards."""
        self._log = os.open(self._paths.events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._seq = count_lines(self._paths.events)
        self._turn = threading.Lock()

    def emit(self, event_type: str, data: Mapping[str, object]) -> int:
        """Append one event to the attempt's log and answer its number; one system call, safe from any thread."""
        try:
            body = _ENCODE(data)
        except ValueError:
            body = _ENCODE(finite(dict(data)))
        if len(body) > MAX_EVENT_BYTES:
            body = _ENCODE({"oversized_bytes": len(body)})
        timestamp = datetime.now(UTC).isoformat()
        if event_type == LOG and "message" in data:
            # So that what is printed and what is told are searched in one place.
            sys.stdout.write(f"[{str(data.get('level', 'info')).upper()}|{timestamp}] {data['message']}\n")
        with self._turn:
            head = f'{{"seq":{self._seq + 1},"event_type":"{event_type}","timestamp":"{timestamp}","data":'
            self._append(f"{head}{body}}}\n".encode())
            self._seq += 1
            return self._seq

    def take_over(self) -> None:
        """Be the only writer again, after another process of this attempt was, and has ended."""
        with self._turn:
            cut_torn_line(self._paths.events)
            self._seq = count_lines(self._paths.events)

    def _append(self, line: bytes) -> None:
        """Write the whole line or, on a full disk, nothing of it."""
        written = os.write(self._log, line)
        if written < len(line):
            os.ftruncate(self._log, os.fstat(self._log).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._paths.events))

    def control(self) -> Control | None:
        """What was asked of this attempt, newest wish first; None while it may run on."""
        asked = self._paths.read_control()
        return None if asked is None else Control(asked["control"])
