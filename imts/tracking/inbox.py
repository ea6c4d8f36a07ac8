"""Where a run's newest events lie until its sender has put them on the disk: in memory."""

import contextlib
import mmap
import os
from pathlib import Path

MAX_BYTES = 64 << 20
"""More than this in memory means that nobody takes it to the disk."""
# An append to a file on a disk waits for the file system's journal while anybody calls fsync, as databases do:
# milliseconds of a training. A file in memory outlives `kill -9` as well; a crash of the machine loses it.
_MEMORY = Path("/dev/shm")  # noqa: S108 - the name has 80 random bits, and only a file that is new is written
_RELEASE_BYTES = 256 << 10
_READ_BYTES = 1 << 20


def inbox_path(journal: Path) -> Path:
    """The inbox that belongs to a journal."""
    return _MEMORY / f"imts-{journal.name}"


def create_inbox(journal: Path) -> int | None:
    """A descriptor to append to; None where there is no memory to be had as a file."""
    try:
        return os.open(inbox_path(journal), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


class Inbox:
    """The sender's end: what the trainer wrote is moved to the journal, byte for byte, from where the journal ends."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._path = inbox_path(journal)
        self._descriptor: int | None = None
        self._released = 0

    def collect(self) -> None:
        """Put everything on the disk; OSError when it takes no more."""
        if self._descriptor is None and self._path.exists():
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        if self._descriptor is None:
            return
        size = os.fstat(self._descriptor).st_size
        with self._journal.open("ab", buffering=0) as disk:
            # The journal is a prefix of what was written, so its length is the place to go on from.
            while (done := disk.tell()) < size:
                disk.write(os.pread(self._descriptor, _READ_BYTES, done))
        self._release(size)

    def _release(self, through: int) -> None:
        """Give back the memory of what is on the disk; places in the file stay the same."""
        end = through - through % mmap.PAGESIZE
        if self._descriptor is None or end - self._released < _RELEASE_BYTES:
            return
        with mmap.mmap(self._descriptor, end) as pages, contextlib.suppress(OSError):
            pages.madvise(mmap.MADV_REMOVE, self._released, end - self._released)
        self._released = end

    def remove(self) -> None:
        """Nothing more will come."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
