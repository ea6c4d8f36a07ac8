"""Closing an events file after its writer died: a torn line is cut, the last event added (standard library only)."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_WINDOW = 256 * 1024


def cut_torn_line(path: Path) -> int:
    """Drop what follows the last newline and answer how many bytes that was."""
    if not path.exists():
        return 0
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - _WINDOW)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        stream.truncate(end)
    return size - end


def count_lines(path: Path) -> int:
    """How many events the file holds: an event's number is its line."""
    if not path.exists():
        return 0
    total = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_WINDOW):
            total += chunk.count(b"\n")
    return total


def last_events(path: Path, most: int) -> list[dict[str, Any]]:
    """The newest events, oldest first; lines that cannot be read are left out."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _WINDOW))
        lines = stream.read().splitlines()[-most:]
    return [event for line in lines if (event := _event_of(line)) is not None]


def _event_of(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def last_event(path: Path) -> dict[str, Any] | None:
    """The newest event; None when there is none or it cannot be read."""
    return next(iter(last_events(path, 1)), None)


def append_event(path: Path, seq: int, event_type: str, data: Mapping[str, object]) -> None:
    """Write one event durably at the end of the file."""
    timestamp = datetime.now(UTC).isoformat()
    event = {"seq": seq, "event_type": event_type, "timestamp": timestamp, "data": data}
    with path.open("ab") as stream:
        stream.write(json.dumps(event).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
