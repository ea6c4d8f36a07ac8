"""Notices that files grow, by looking at their sizes: often while anything changes, seldom when nothing does."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

_BUSY_S = 0.004
_QUIET_S = 0.02
_STAYS_BUSY_S = 1.0


class Lookout:
    """One thread for all files: a look costs microseconds, and none is taken while there is nothing to watch."""

    def __init__(self) -> None:
        self._watched: dict[str, Callable[[], None]] = {}
        self._sizes: dict[str, int] = {}
        self._wake = threading.Event()
        self._is_open = True
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._wake.set()

    def watch(self, path: Path, ring: Callable[[], None]) -> None:
        """Call `ring`, in the lookout's thread, whenever the file at `path` has another size than at the last look."""
        self._watched[str(path)] = ring
        self._wake.set()

    def forget(self, path: Path) -> None:
        """Watch this file no more."""
        self._watched.pop(str(path), None)
        self._sizes.pop(str(path), None)

    def _run(self) -> None:
        busy_until = 0.0
        while self._is_open:
            if not self._watched:
                self._wake.wait()
                self._wake.clear()
            now = time.monotonic()
            if self._look():
                busy_until = now + _STAYS_BUSY_S
            time.sleep(_BUSY_S if now < busy_until else _QUIET_S)

    def _look(self) -> bool:
        """Ring for each file that changed; whether any did."""
        has_news = False
        for path, ring in list(self._watched.items()):
            size = _size(path)
            if size != self._sizes.get(path, 0):
                self._sizes[path] = size
                has_news = True
                ring()
        return has_news


def _size(path: str) -> int:
    try:
        # The lookout lives on this call: a Path would double its cost.
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0
