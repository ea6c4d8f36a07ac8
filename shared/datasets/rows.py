"""Normalised rows as services read them: one JSON object a line, UTF-8."""

import json
from collections.abc import Iterator
from pathlib import Path

from shared.contracts.base import JsonObject


def encode_row(row: JsonObject) -> bytes:
    """A normalised row as its line; the same row is always the same bytes."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_lines(path: Path) -> Iterator[bytes]:
    """The rows of a normalised file as they are written."""
    with path.open("rb") as lines:
        yield from lines


def read_rows(path: Path) -> Iterator[JsonObject]:
    """The rows of a normalised file."""
    for line in read_lines(path):
        yield json.loads(line)
