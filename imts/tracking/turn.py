"""The turn to send a run: one process has it at a time, and it goes with that process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sending_turn(journal: Path) -> Iterator[bool]:
    """Whether this journal is ours to send, for as long as the block lasts."""
    path = journal.with_suffix(".lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        # Only after its journal: who still gets a lock on a file that is gone finds nothing to send.
        if not journal.exists():
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
