"""Finding and ending every process of an attempt, however deep its engine forked (standard library only)."""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
SPARE = "spare"
_POLL_S = 0.01
_PROC = Path("/proc")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def title_of(role: str, label: str) -> str:
    """Of a process that waits for its job: another may be about to take the same attempt on, and only one will."""
    return f"imts:{role}:{label}" if label == SPARE else f"imts:starting-{role}:{label}"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exits at once if that has happened already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none escapes."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _parent_and_state(pid: int) -> tuple[int, str]:
    """From `/proc/<pid>/stat`; the name in it may hold anything, so it is read from the last bracket."""
    fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[1]), fields[0].decode()


def _writes_to(pid: int, log: str) -> bool:
    for descriptor in ("1", "2"):
        try:
            if str((_PROC / str(pid) / "fd" / descriptor).readlink()) == log:
                return True
        except OSError:
            continue
    return False


def _living() -> Iterator[tuple[int, int]]:
    """Every other process that has not ended, and its parent."""
    own = os.getpid()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or (pid := int(entry.name)) == own:
            continue
        try:
            parent, state = _parent_and_state(pid)
        except OSError:
            continue
        if state not in "ZX":
            yield pid, parent


def _orphans(log: Path) -> list[int]:
    target = str(log.resolve())
    return [pid for pid, _ in _living() if _writes_to(pid, target)]


def _family(log: Path) -> list[int]:
    own, target = os.getpid(), str(log.resolve())
    return [pid for pid, parent in _living() if parent == own or _writes_to(pid, target)]


def _kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def reap() -> None:
    """Collect every child that has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def kill_family(log: Path, within_s: float = 10.0) -> None:
    """As the shepherd: kill all that is left of the attempt, until nothing is."""
    give_up_at = time.monotonic() + within_s
    while (left := _family(log)) and time.monotonic() < give_up_at:
        _kill(left)
        reap()
        time.sleep(_POLL_S)
    reap()


def kill_orphans(log: Path, within_s: float = 10.0) -> None:
    """As the service: kill what a dead shepherd left of its attempt: whatever still writes to its log."""
    give_up_at = time.monotonic() + within_s
    while (left := _orphans(log)) and time.monotonic() < give_up_at:
        _kill(left)
        time.sleep(_POLL_S)
