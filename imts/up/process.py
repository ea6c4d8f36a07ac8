"""A service's process: started or found again, watched by pidfd, never mistaken for another with the same pid."""

import json
import os
import select
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imts.up.commands import Command
from imts.up.folder import write_private

_STATE, _START_TIME = 0, 19
"""Places in /proc/<pid>/stat, counted after the process name."""
_GATE = 'read -r _ && exec "$@" </dev/null'
"""A service begins when it has been written down; if whoever starts it dies before that, it never does."""


def _stat_of(pid: int) -> list[str] | None:
    try:
        # The name in brackets may itself hold spaces and brackets.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_of(pid: int) -> str | None:
    """When a living process started, in words no later process with its pid shares; None when there is none."""
    stat = _stat_of(pid)
    if stat is None or stat[_STATE] in {"Z", "X"}:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return f"{boot}:{stat[_START_TIME]}"


def _open(gate: int) -> None:
    try:
        os.write(gate, b"\n")
    except BrokenPipeError:
        # It was killed at once; its end is noticed like any other.
        return


@dataclass
class Process:
    """A living service; `child` is None for one that an earlier `imts up` started."""

    pid: int
    fd: int
    child: subprocess.Popen[bytes] | None

    @classmethod
    def spawn(cls, command: Command, log: Path, record: Path) -> Self:
        """Start a service in a session of its own, so that it outlives this process and its terminal."""
        with log.open("ab") as output:
            child = subprocess.Popen(
                ("/bin/sh", "-c", _GATE, "imts", *command.argv), env=dict(command.environ), stdin=subprocess.PIPE,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        assert child.stdin is not None
        with child.stdin as gate:
            facts = {"pid": child.pid, "start": start_of(child.pid), "port": command.port}
            write_private(record, json.dumps({**facts, "fingerprint": command.fingerprint}))
            _open(gate.fileno())
        return cls(child.pid, os.pidfd_open(child.pid), child)

    @classmethod
    def find(cls, record: Path) -> tuple[Self, str] | None:
        """The living process that an earlier `imts up` wrote down, with its fingerprint."""
        try:
            facts = json.loads(record.read_text(encoding="utf-8"))
            pid, start, fingerprint = int(facts["pid"]), facts["start"], str(facts["fingerprint"])
            fd = os.pidfd_open(pid)
        except (FileNotFoundError, ProcessLookupError, ValueError, KeyError, TypeError):
            return None
        # Checked after the pidfd is open: from here on it cannot become another process.
        if start is None or start_of(pid) != start:
            os.close(fd)
            return None
        return cls(pid, fd, None), fingerprint

    def has_ended(self, within_s: float = 0.0) -> bool:
        """Whether the process has ended, waiting for it at most this long."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def send(self, number: signal.Signals) -> None:
        """Signal this very process; one that has just ended does not mind."""
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            return

    def bury(self) -> str:
        """Give back what an ended process held, and say how it ended."""
        os.close(self.fd)
        if self.child is None:
            return "ended"
        code = self.child.wait()
        return f"exited with code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
