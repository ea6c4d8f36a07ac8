"""TensorBoard's files, whole, torn and damaged."""

import math
import struct
from pathlib import Path

from imts.tensorboard.crc32c import crc32c
from imts.tensorboard.records import MAX_RECORD_BYTES, RecordFile
from imts.tensorboard.scalars import Scalar, scalars
from tests.fakes.tensorboard import framed, message, tensor_message


def test_the_checksum_is_the_published_one() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_a_torn_end_is_waited_for_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    first, second = framed(b"one"), framed(b"second")
    file = RecordFile(path)
    path.write_bytes(first)
    assert list(file.read()) == [b"one"]
    for length in range(len(second)):
        path.write_bytes(first + second[:length])
        assert list(file.read()) == []
    path.write_bytes(first + second)
    assert list(file.read()) == [b"second"]
    assert list(file.read()) == []


def test_a_damaged_record_is_left_out_when_more_follow(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    broken = bytearray(framed(b"broken"))
    broken[14] ^= 1
    path.write_bytes(framed(b"a") + bytes(broken))
    file = RecordFile(path)
    assert list(file.read()) == [b"a"]
    with path.open("ab") as stream:
        stream.write(framed(b"b"))
    assert list(file.read()) == [b"b"]


def test_large_records_are_passed_over_and_many_small_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    small = [str(number).encode() * 20 for number in range(20_000)]
    image = struct.pack("<Q", MAX_RECORD_BYTES * 3)
    half = len(small) // 2
    large = framed(b"x")[:0] + _large(image)
    path.write_bytes(b"".join(map(framed, small[:half])) + large + b"".join(map(framed, small[half:])))
    assert list(RecordFile(path).read()) == small


def _large(head: bytes) -> bytes:
    from imts.tensorboard.crc32c import masked

    return head + struct.pack("<I", masked(head)) + bytes(MAX_RECORD_BYTES * 3 + 4)


def test_scalars_of_both_generations_are_read() -> None:
    assert scalars(message(1.5, 7, {"loss": 0.5, "lr": 0.25})) == [
        Scalar(1.5, 7, "loss", 0.5), Scalar(1.5, 7, "lr", 0.25),
    ]  # fmt: skip
    assert scalars(tensor_message(1.5, 8, "loss", 0.125)) == [Scalar(1.5, 8, "loss", 0.125)]
    assert math.isnan(scalars(message(1.5, 7, {"loss": math.nan}))[0].value)


def test_what_is_no_event_says_nothing() -> None:
    whole = message(1.0, 2, {"loss": 0.5})
    for length in range(len(whole)):
        assert scalars(whole[:length]) in ([], [Scalar(1.0, 2, "loss", 0.5)])
    assert scalars(b"\xff" * 40) == []
