"""Engines run as the worker runs them: in a process of their own, through the real bootstrap."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.work import AttemptSpec
from shared.kit.files import write_atomic
from shared.worker.attempt import Result

_LONGEST_S = 120
_LOOK_S = 0.01


def limit_memory(pid: int, spare_bytes: int) -> None:
    """Let a running process have so much more memory than it holds now."""
    (held,) = (line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmData" in line)
    resource.prlimit(pid, resource.RLIMIT_DATA, (int(held) * 1024 + spare_bytes, resource.RLIM_INFINITY))


@dataclass
class Peak:
    """What a process held of the host's memory: when it was ready for its job, and at most since; in bytes."""

    ready: int = 0
    highest: int = 0

    def look(self, pid: int) -> None:
        """Its own high-water mark, read often, as the process may reset it."""
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            held = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
            self.highest = max([self.highest, *held])
            self.ready = self.ready or self.highest


def _await_end(engine: subprocess.Popen[bytes], peak: Peak | None) -> None:
    if peak is None:
        engine.wait(timeout=_LONGEST_S)
        return
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        peak.look(engine.pid)
        with suppress(subprocess.TimeoutExpired):
            engine.wait(timeout=_LOOK_S)
            return
    raise AssertionError("the engine did not end")


def run_engine(
    module: str,
    folder: Path,
    spec: AttemptSpec,
    artifacts_url: str,
    spare_bytes: int | None = None,
    peak: Peak | None = None,
) -> Result:
    """Hand one attempt to a fresh engine process, with so much memory to spare, and answer what it wrote."""
    own = folder / spec.job_id / str(spec.number)
    own.mkdir(parents=True)
    write_atomic(own / "spec.json", spec.model_dump_json())
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "shared.worker.engine", module, spec.attempt_id, str(os.getpid())]
    with ours, subprocess.Popen(command, stdin=theirs.fileno(), cwd=Path(__file__).parents[1]) as engine:
        theirs.close()
        ours.settimeout(_LONGEST_S)
        assert ours.recv(64) == b"ready\n"
        if peak is not None:
            peak.look(engine.pid)
        if spare_bytes is not None:
            limit_memory(engine.pid, spare_bytes)
        job = {"folder": str(own), "artifacts_url": artifacts_url, "cache": str(folder / "cache")}
        ours.sendall(json.dumps(job).encode() + b"\n")
        _await_end(engine, peak)
    return Result.model_validate_json((own / "outcome.json").read_bytes())
