"""Recognises how a file holds its rows: JSON array, JSON Lines, CSV, Parquet or plain lines."""

import codecs
import io
from enum import StrEnum
from pathlib import PurePath

from shared.datasets.faults import unreadable

_PROBE = 64 * 1024
_FIX = "send JSON, JSON Lines, CSV, Parquet or a .txt file"
_PACKED = {b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "gzip-compressed", b"\x28\xb5\x2f\xfd": "zstd-compressed",
           b"BZh": "bzip2-compressed", b"\xfd7zXZ": "xz-compressed"}  # fmt: skip


class Container(StrEnum):
    """How a file holds its rows."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    LINES = "lines"


def recognise(source: io.BufferedIOBase, filename: str) -> Container:
    """The container of `source`, by content first and by the file's ending where content says nothing."""
    head = source.read(_PROBE)
    source.seek(0)
    if not head:
        raise unreadable("the file is empty; send a file with at least one row", code="empty_dataset")
    if head.startswith(b"PAR1"):
        return Container.PARQUET
    _refuse_packed(head)
    ending = PurePath(filename).suffix.lower()
    if ending == ".parquet":
        raise unreadable("the file does not start as Parquet does; it is damaged or of another kind")
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if ending in {".csv", ".tsv"}:
        return Container.CSV
    if ending == ".txt":
        return Container.LINES
    if text.startswith(b"["):
        return Container.JSON
    if text.startswith(b"{") or ending in {".jsonl", ".json", ".ndjson"}:
        return Container.JSONL
    raise unreadable(f"the file's kind cannot be told from its name or content; {_FIX}")


def _refuse_packed(head: bytes) -> None:
    for magic, what in _PACKED.items():
        if head.startswith(magic):
            raise unreadable(f"the file is {what}; unpack it first, then {_FIX}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\x00" in head[:4]:
        raise unreadable("the file is not UTF-8 (it looks like UTF-16 or binary); save it as UTF-8")
