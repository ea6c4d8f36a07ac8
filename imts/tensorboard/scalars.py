"""Scalars out of TensorBoard's event messages: the few protobuf fields that matter, read by hand."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BITS = 70
_FLOAT, _DOUBLE = 1, 2


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of one step."""

    wall_time: float
    step: int
    tag: str
    value: float


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < _MAX_VARINT_BITS:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a varint has more than ten bytes")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            length, place = _varint(data, place)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("a protobuf group, which no event has")
        if place + length > len(data):
            raise ValueError("a field ends beyond its message")
        yield number, data[place : place + length]
        place += length


def _tensor(data: bytes) -> float | None:
    """A tensor's only number: as TensorFlow 2 writes scalars."""
    kind = 0
    found: float | None = None
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            kind = value
        elif isinstance(value, bytes) and number in {4, 5, 6}:
            wide = number == 6 or (number == 4 and kind == _DOUBLE)
            if kind in {_FLOAT, _DOUBLE} and len(value) == (8 if wide else 4):
                found = struct.unpack("<d" if wide else "<f", value)[0]
    return found


def _value(data: bytes) -> tuple[str, float] | None:
    tag = ""
    found: float | None = None
    for number, value in _fields(data):
        if not isinstance(value, bytes):
            continue
        if number == 1:
            tag = value.decode("utf-8", "replace")
        elif number == 2:
            found = struct.unpack("<f", value)[0]
        elif number == 8:
            found = _tensor(value)
    return None if found is None or not tag else (tag, found)


def scalars(record: bytes) -> list[Scalar]:
    """What one record says in numbers; nothing when it is damaged, a graph, an image or a histogram."""
    wall_time, step = 0.0, 0
    found: list[tuple[str, float]] = []
    try:
        for number, value in _fields(record):
            if number == 1 and isinstance(value, bytes):
                wall_time = struct.unpack("<d", value)[0]
            elif number == 2 and isinstance(value, int):
                step = value
            elif number == 5 and isinstance(value, bytes):
                found += [
                    pair
                    for inner, part in _fields(value)
                    if inner == 1 and isinstance(part, bytes) and (pair := _value(part)) is not None
                ]
    except (ValueError, IndexError, struct.error):
        return []
    return [Scalar(wall_time, step, tag, value) for tag, value in found]
