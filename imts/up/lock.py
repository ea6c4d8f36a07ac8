"""One `imts up` a data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from imts.up.faults import CannotStart
from imts.up.folder import DataFolder


@contextmanager
def held(folder: DataFolder) -> Iterator[None]:
    """Hold the folder's lock; the kernel gives it back when this process ends, however it ends."""
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode().strip() or "unknown"
            raise CannotStart(f"another `imts up` (pid {holder}) runs on {folder.root}") from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)
