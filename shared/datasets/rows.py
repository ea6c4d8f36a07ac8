"""Normalised rows as services read them: one JSON object a line, UTF-8."""

import json
from collections.abc import Iterator
from pathlib import Path

from shared.contracts.base import JsonObject


def encode_row(row: JsonObject) -> bytes:
    """A normalised row as its line; the same row is always the same bytes."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_rows(path: Path) -> Iterator[JsonObject]:
    """The rows of a normalised file."""
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)
