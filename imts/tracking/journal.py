"""A run's events on this machine: written before anything is sent, locked by the process that writes them."""

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from imts.tracking.inbox import MAX_BYTES as MAX_INBOX_BYTES
from imts.tracking.inbox import create_inbox, inbox_path

MAX_BYTES = 8 << 30
"""A run that outgrows this while nobody takes its events must not fill the disk."""
_CHECK_EVERY = 256
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


def is_writer_alive(journal: Path) -> bool:
    """Whether the process that writes a run still has its files: its locks go with it."""
    return any(_is_locked(path) for path in (journal, inbox_path(journal)))


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


class Journal:
    """What a run's own process appends to: a file in memory, or the journal itself where there is none."""

    def __init__(self, path: Path, disk: int, memory: int | None, max_bytes: int) -> None:
        self.path = path
        self._disk = disk
        self._memory = memory
        self._room = max_bytes
        self._calls = 0
        self._is_torn = False

    @classmethod
    def create(cls, folder: Path, run_id: str, max_bytes: int = MAX_BYTES) -> Self:
        """A new journal; it appears under its name only when it is locked."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = journal_path(folder, run_id)
        hidden = path.with_name(f".{path.name}")
        disk = os.open(hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        memory = create_inbox(path)
        for descriptor in (disk, memory):
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(hidden, path)
        return cls(path, disk, memory, max_bytes)

    def append(self, line: bytes, *, is_last: bool = False) -> None:
        """Write a line where it outlives this process; OSError when there is no room for it."""
        if self._is_torn:
            line = b"\n" + line
        self._room -= len(line)
        # There is always room for the word that ends the run.
        if not is_last:
            self._check_room()
        # One write to a file opened for appending: lines of several threads, or of a forked child, never mix.
        target = self._disk if self._memory is None else self._memory
        self._is_torn = os.write(target, line) != len(line)

    def _check_room(self) -> None:
        if self._room < 0:
            raise OSError(errno.EFBIG, "its journal is as large as it may get", str(self.path))
        self._calls += 1
        if self._memory is None or self._calls % _CHECK_EVERY:
            return
        if os.fstat(self._memory).st_blocks * 512 > MAX_INBOX_BYTES:
            self._calls -= 1
            raise OSError(errno.ENOBUFS, "nobody takes its events from memory to the disk", str(self.path))

    def close(self) -> None:
        """Let go of files and locks; they stay until all of the run is in the log."""
        os.close(self._disk)
        if self._memory is not None:
            os.close(self._memory)


def append_for_the_dead(path: Path, line: bytes) -> None:
    """Add a line to a journal whose writer is gone, closing the one that it left torn."""
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        is_torn = stream.read(1) not in {b"", b"\n"}
        stream.write(b"\n" + line if is_torn else line)
