"""A run's events on this machine: appended before anything is sent, locked by the process that writes them."""

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

MAX_BYTES = 8 << 30
"""A run that outgrows this while nobody takes its events must not fill the disk."""
_SUFFIX = ".jsonl"


def runs_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the runs of this user wait until the log has them."""
    if chosen := environ.get("IMTS_RUNS_DIR"):
        return Path(chosen)
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "imts" / "runs"


def journal_path(folder: Path, run_id: str) -> Path:
    """Where a run's journal lies."""
    return folder / f"{run_id}{_SUFFIX}"


def journals(folder: Path) -> list[Path]:
    """Every journal, oldest run first."""
    return sorted(folder.glob(f"run-*{_SUFFIX}"))


class Journal:
    """An append-only file; the lock goes with its process, so who gets it knows that the writer is dead."""

    def __init__(self, path: Path, descriptor: int, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._descriptor = descriptor
        self._room = max_bytes - os.fstat(descriptor).st_size
        self._is_torn = False

    @classmethod
    def create(cls, folder: Path, run_id: str, max_bytes: int = MAX_BYTES) -> Self:
        """A new journal; it appears under its name only when it is locked."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = journal_path(folder, run_id)
        hidden = path.with_name(f".{path.name}")
        descriptor = os.open(hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(hidden, path)
        return cls(path, descriptor, max_bytes)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The journal of a dead process, its torn last line to be closed; None while somebody else has it."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        found = cls(path, descriptor)
        size = os.fstat(descriptor).st_size
        found._is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        return found

    def append(self, line: bytes, *, is_last: bool = False) -> None:
        """Write a line where it outlives this process; OSError when the disk, or the journal, takes no more."""
        if self._is_torn:
            line = b"\n" + line
        self._room -= len(line)
        # There is always room for the word that ends the run.
        if self._room < 0 and not is_last:
            raise OSError(errno.EFBIG, "its journal is as large as it may get", str(self.path))
        # One write to a file opened for appending: lines of several threads, or of a forked child, never mix.
        self._is_torn = os.write(self._descriptor, line) != len(line)

    def close(self) -> None:
        """Let go of file and lock; the journal stays until all of it is in the log."""
        os.close(self._descriptor)
