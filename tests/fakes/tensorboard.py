"""What TensorBoard's writers write, byte by byte."""

import struct
from collections.abc import Mapping

from imts.tensorboard.crc32c import masked


def framed(data: bytes) -> bytes:
    """A TFRecord."""
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", masked(head)) + data + struct.pack("<I", masked(data))


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _part(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _event(wall_time: float, step: int, values: list[bytes]) -> bytes:
    summary = b"".join(_part(1, value) for value in values)
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + _part(5, summary)


def message(wall_time: float, step: int, figures: Mapping[str, float]) -> bytes:
    """An event with simple values, as PyTorch's SummaryWriter makes it."""
    values = [_part(1, tag.encode()) + b"\x15" + struct.pack("<f", value) for tag, value in figures.items()]
    return _event(wall_time, step, values)


def tensor_message(wall_time: float, step: int, tag: str, value: float) -> bytes:
    """An event with a tensor, as TensorFlow 2 makes it."""
    tensor = b"\x08\x01\x12\x00" + _part(4, struct.pack("<f", value))
    return _event(wall_time, step, [_part(1, tag.encode()) + _part(8, tensor)])
