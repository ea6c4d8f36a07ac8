"""Whether an attempt's shepherd lives: it holds a lock that the kernel frees with it (standard library only)."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_S = 0.01


def try_lock(path: Path, patience_s: float = 0.0) -> int | None:
    """Take the lock and answer its file descriptor; None when another process holds it for longer than `patience_s`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                os.close(handle)
                return None
            time.sleep(_RETRY_S)
        else:
            return handle


@contextmanager
def holding(path: Path) -> Iterator[bool]:
    """Hold the lock inside the block if it is free; whether it was is the block's value."""
    handle = try_lock(path)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
