"""A run's events on this machine: appended before anything is sent, locked by the process that writes them."""

import fcntl
import os
from pathlib import Path
from typing import Self

_SUFFIX = ".jsonl"


def journal_path(folder: Path, run_id: str) -> Path:
    """Where a run's journal lies."""
    return folder / f"{run_id}{_SUFFIX}"


def journals(folder: Path) -> list[Path]:
    """Every journal, oldest run first."""
    return sorted(folder.glob(f"run-*{_SUFFIX}"))


class Journal:
    """An append-only file; the lock goes with its process, so who gets it knows that the writer is dead."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._is_torn = False

    @classmethod
    def create(cls, folder: Path, run_id: str) -> Self:
        """A new journal; it appears under its name only when it is locked."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = journal_path(folder, run_id)
        hidden = path.with_name(f".{path.name}")
        descriptor = os.open(hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(hidden, path)
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The journal of a dead process, its torn last line closed; None while somebody else has it."""
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

    def append(self, line: bytes) -> None:
        """Write a line where it outlives this process; OSError when the disk takes no more."""
        if self._is_torn:
            line = b"\n" + line
        # One write to a file opened for appending: lines of several threads, or of a forked child, never mix.
        self._is_torn = os.write(self._descriptor, line) != len(line)

    def last_line(self) -> bytes:
        """The newest whole line."""
        size = os.fstat(self._descriptor).st_size
        tail = os.pread(self._descriptor, 128 * 1024, max(0, size - 128 * 1024))
        return tail[: tail.rfind(b"\n")].rpartition(b"\n")[2]

    def close(self) -> None:
        """Let go of file and lock; the journal stays for `resend`."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """The log has everything: the journal is not needed any more."""
        self.path.unlink(missing_ok=True)
        self.close()
