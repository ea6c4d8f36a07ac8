"""A TFRecord file that grows: whole records once each, a torn end waited for."""

import logging
import struct
from collections.abc import Iterator
from pathlib import Path

from imts.tensorboard.crc32c import masked

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_READ_BYTES = 1 << 20
MAX_RECORD_BYTES = 1 << 20
"""Scalars take a hundred bytes: what is larger is an image or a graph, and is passed over unread."""
logger = logging.getLogger("imts.tensorboard")


class RecordFile:
    """A cursor over one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._is_damaged = False

    def read(self) -> Iterator[bytes]:
        """The records written since the last look."""
        with self.path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(self._offset)
            buffer = stream.read(_READ_BYTES)
            place = 0
            while not self._is_damaged:
                left = buffer[place : place + _HEADER.size]
                if len(left) == _HEADER.size and (record := self._record(buffer, place, size)) is not None:
                    length, data = record
                    place += length
                    self._offset += length
                    if data:
                        yield data
                elif place == 0 and len(buffer) < _READ_BYTES:
                    return
                else:
                    stream.seek(self._offset)
                    buffer, place = stream.read(max(_READ_BYTES, MAX_RECORD_BYTES + 16)), 0
                    if not self._has_more(buffer, size):
                        return

    def _has_more(self, buffer: bytes, size: int) -> bool:
        return len(buffer) >= _HEADER.size and self._record(buffer, 0, size) is not None

    def _record(self, buffer: bytes, place: int, size: int) -> tuple[int, bytes] | None:
        """Bytes the record takes and its data, empty when it is passed over; None while it is not whole."""
        head = buffer[place : place + 8]
        length, checksum = _HEADER.unpack_from(buffer, place)
        if masked(head) != checksum:
            self._damaged(size)
            return None
        whole = _HEADER.size + length + _FOOTER.size
        if self._offset + whole > size:
            return None
        if length > MAX_RECORD_BYTES:
            return whole, b""
        if place + whole > len(buffer):
            return None
        data = buffer[place + _HEADER.size : place + _HEADER.size + length]
        if masked(data) == _FOOTER.unpack_from(buffer, place + whole - _FOOTER.size)[0]:
            return whole, data
        if self._offset + whole < size:
            logger.warning("%s: the record at byte %d is damaged and left out", self.path, self._offset)
            return whole, b""
        # The last record: a file system may show its length before its bytes.
        return None

    def _damaged(self, size: int) -> None:
        if size > self._offset + 2 * MAX_RECORD_BYTES:
            logger.warning("%s is damaged from byte %d on; the rest is not read", self.path, self._offset)
            self._is_damaged = True
