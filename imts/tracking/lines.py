"""Events as lines of a journal: quick for plain numbers, patient with everything else people log."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic_core import to_json

from shared.contracts.events import LOG, finite

MAX_LINE_BYTES = 60_000
"""Less than the log takes for one event."""
_DEPTH = 12


def _scalar(value: object) -> object:
    """A number out of an array library's scalar; for what is no number, what it prints as."""
    if callable(item := getattr(value, "item", None)):
        try:
            return item()
        except (ValueError, TypeError, RuntimeError):
            # More than one element.
            return str(value)
    return str(value)


def _plain(value: object, depth: int = 0) -> object:
    if isinstance(value, str | int | float | bool | None):
        return value
    if depth > _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return _scalar(value)


def _quickly(event: Mapping[str, object]) -> bytes | None:
    """The event as JSON; None for what JSON cannot carry."""
    try:
        text = to_json(event, inf_nan_mode="constants", fallback=_plain)
    except (ValueError, TypeError, RecursionError):
        return None
    return None if b"NaN" in text or b"Infinity" in text else text


def _patiently(event: Mapping[str, object], at: datetime, data: object) -> bytes:
    plain = {**event, "timestamp": at.isoformat(), "data": finite(_plain(data))}
    return json.dumps(plain, separators=(",", ":")).encode()


def encode(event_type: str, data: Mapping[str, object], at: datetime | None = None) -> bytes:
    """One whole line; what JSON cannot carry becomes null or text, what is too large a note of it."""
    at = at or datetime.now(UTC)
    event = {"event_type": event_type, "timestamp": at, "data": data}
    text = _quickly(event) or _patiently(event, at, data)
    if len(text) > MAX_LINE_BYTES:
        text = _patiently({"event_type": LOG}, at, note(f"{len(text)} bytes is too much for one event"))
    return text + b"\n"


def note(message: str) -> dict[str, object]:
    """Data of the event that stands where another could not."""
    return {"level": "warning", "message": message}
