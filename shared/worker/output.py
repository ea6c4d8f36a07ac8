"""What an engine printed, kept within bounds: its beginning and its newest; the middle gives its disk back.

Standard library only. The file keeps its length and every byte its place, so that neither the engine, which appends,
nor whoever reads by offset need know. File systems that cannot make holes (NFS before 4.2) keep everything.
"""

import ctypes
import json
import os
from pathlib import Path

from shared.kit.files import write_atomic
from shared.worker.folder import read_json

HEAD_BYTES = 1 << 20
"""Of the beginning: what was asked, and with which versions."""
MOST_BYTES = 16 << 20
_BLOCK = 64 << 10
_STEP = 1 << 20
_PUNCH_HOLE_KEEP_SIZE = 0x01 | 0x02


class OutputCap:
    """Holds one file to `most_bytes`; looked after by the attempt's shepherd."""

    def __init__(self, log: Path, hole: Path, most_bytes: int = MOST_BYTES) -> None:
        self._log = log
        self._hole = hole
        self._head = min(HEAD_BYTES, most_bytes // 4) // _BLOCK * _BLOCK
        self._tail = most_bytes - self._head - _BLOCK
        self._step = min(_STEP, most_bytes // 4)
        self._end = self._head
        self._can = True

    def hold(self) -> None:
        """Give back what lies between beginning and newest; cheap when there is nothing to give."""
        if not self._can:
            return
        end = (self._log.stat().st_size - self._tail + self._step) // _BLOCK * _BLOCK
        if end - self._end < self._step:
            return
        # Told first: a reader that saw the hole before its note would take its zeros for output.
        write_atomic(self._hole, json.dumps({"begin": self._head, "end": end}))
        self._can = _punch(self._log, self._end, end)
        if self._can:
            self._end = end
        else:
            self._hole.unlink()


def hole_in(path: Path) -> tuple[int, int]:
    """Where the part begins and ends that was given back; an empty one when all is there."""
    found = read_json(path)
    return (0, 0) if found is None else (int(found["begin"]), int(found["end"]))


def _punch(log: Path, begin: int, end: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    sizes = ctypes.c_int64(begin), ctypes.c_int64(end - begin)
    handle = os.open(log, os.O_WRONLY)
    try:
        return bool(libc.fallocate(handle, _PUNCH_HOLE_KEEP_SIZE, *sizes) == 0)
    finally:
        os.close(handle)
