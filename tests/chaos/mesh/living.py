"""The processes of one run, found by what they write to: everything a mesh starts prints into the run's folder."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_STATE, _GROUP, _START = 0, 2, 19
"""Places in /proc/<pid>/stat, counted after the process name."""


@dataclass(frozen=True)
class Living:
    """A process that has not ended; pid and start together are never another's."""

    pid: int
    start: str
    group: int
    title: str

    @property
    def role(self) -> str:
        """`engine`, `shepherd`, `up`, a service's name; `starting-…` before an attempt is its own; empty for others."""
        parts = self.title.split(":")
        return parts[1] if parts[0] == "imts" and len(parts) > 1 else ""

    @property
    def attempt_id(self) -> str:
        """Whose engine or shepherd this is; `spare` while it is nobody's."""
        return self.title.split(":")[2] if self.title.count(":") == 2 else ""

    def is_alive(self) -> bool:
        """Whether it is still there."""
        return _read(self.pid, self.title) == self

    def send(self, number: signal.Signals) -> bool:
        """Signal this very process; false when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # Checked after the pidfd is open: from here on it cannot become another process.
            if not self.is_alive() or _title(self.pid) != self.title:
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


def _read(pid: int, title: str) -> Living | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if stat[_STATE] in {b"Z", b"X"}:
        return None
    return Living(pid, stat[_START].decode(), int(stat[_GROUP]), title)


def _title(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").strip().decode("utf-8", "replace")
    except OSError:
        return ""


def _prints_into(pid: int, folder: str) -> bool:
    try:
        return str((_PROC / str(pid) / "fd" / "1").readlink()).startswith(folder)
    except OSError:
        return False


def living(folder: Path, *, is_all: bool = False) -> Iterator[Living]:
    """The processes of the run in `folder` that bear a title of IMTS, or all of them."""
    own, inside = os.getpid(), f"{folder.resolve()}/"
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or (pid := int(entry.name)) == own:
            continue
        title = _title(pid)
        if (is_all or title.startswith("imts:")) and _prints_into(pid, inside):
            found = _read(pid, title)
            if found is not None:
                yield found
