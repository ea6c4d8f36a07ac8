"""Which events may enter the log: bounded in size, depth and range, true to their own clock and zone."""

from collections.abc import Sequence
from datetime import UTC

from pydantic import JsonValue

from services.stream.log import projects
from services.stream.log.entries import Entry, dump, ends_topic
from shared.contracts.events import MAX_EVENT_BYTES, MAX_SEQ, METRICS_UPDATE, NewEvent
from shared.kit.errors import InvalidRequest, TooLarge

MAX_DEPTH = 16
_MAX_INT = 2**63 - 1
_MAX_ATTEMPT = 10**6
_YEARS = range(1970, 3000)


def _check_value(value: JsonValue, where: str, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"{where} is nested deeper than {MAX_DEPTH} levels; flatten it", param=where)
    if isinstance(value, dict):
        for item in value.values():
            _check_value(item, where, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, where, depth + 1)
    elif isinstance(value, int) and abs(value) > _MAX_INT:
        raise InvalidRequest(f"{where} has an integer beyond 64 bits; send it as a string", param=where)


def _encode(event: NewEvent, where: str) -> str:
    _check_value(event.data, where)
    text = dump(event.data)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{where} must be valid Unicode without lone surrogates", param=where) from None
    if size > MAX_EVENT_BYTES:
        raise TooLarge(f"{where} is larger than the {MAX_EVENT_BYTES} bytes an event may have", param=where)
    return text


def _step(event: NewEvent, where: str) -> int | None:
    if event.event_type != METRICS_UPDATE:
        return None
    for key in ("step", "train_loss", "val_loss", "learning_rate"):
        value = event.data.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise InvalidRequest(f"{where}.{key} must be a number", param=f"{where}.{key}")
    step = event.data.get("step")
    if step is not None and not (isinstance(step, int) and 0 <= step <= MAX_SEQ):
        raise InvalidRequest(f"{where}.step must be an integer from 0 to {MAX_SEQ}", param=f"{where}.step")
    return step


def _admit_one(topic: str, event: NewEvent, where: str) -> Entry:
    if event.attempt is not None and not 0 <= event.attempt <= _MAX_ATTEMPT:
        raise InvalidRequest(f"{where}.attempt must be from 0 to {_MAX_ATTEMPT}", param=f"{where}.attempt")
    data = _encode(event, f"{where}.data")
    step = _step(event, f"{where}.data")
    if event.timestamp.year not in _YEARS:
        raise InvalidRequest(f"{where}.timestamp must lie between 1970 and 2999", param=f"{where}.timestamp")
    figures = event.data if event.event_type == METRICS_UPDATE else None
    project, news = projects.told(topic, event, f"{where}.data")
    return Entry(
        event.event_type, event.attempt, step, event.timestamp.astimezone(UTC), data,
        ends_topic(topic, event.event_type, data), figures, project, news,
    )  # fmt: skip


def admit(topic: str, events: Sequence[NewEvent]) -> tuple[Entry, ...]:
    """The events, checked and encoded; the first fault refuses the batch and names its place."""
    entries = tuple(_admit_one(topic, event, f"events.{place}") for place, event in enumerate(events))
    for place, entry in enumerate(entries[:-1]):
        if entry.ends_topic:
            raise InvalidRequest(
                f"events.{place} ends the job, so nothing may follow it in the batch", param=f"events.{place}"
            )
    return entries
