"""Which events may enter the log: bounded in size, depth and range, true to their own clock and zone."""

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

from pydantic_core import PydanticSerializationError

from services.stream.log import projects
from services.stream.log.entries import Entry, dump, ends_topic
from shared.contracts.events import MAX_EVENT_BYTES, MAX_SEQ, METRICS_UPDATE, OWN_WORDS, NewEvent, finite
from shared.kit.errors import InvalidRequest, TooLarge

MAX_DEPTH = 16
_MAX_INT = 2**63 - 1
_YEARS = range(1970, 3000)
_FIGURES = ("step", "train_loss", "val_loss", "learning_rate")
_FIGURE = (int, float, type(None))


def _check_values(values: Iterable[Any], where: str, depth: int = 1) -> None:
    for value in values:
        kind = type(value)
        if kind is float or kind is str:
            continue
        if kind is int:
            if not -_MAX_INT <= value <= _MAX_INT:
                raise InvalidRequest(f"{where} has an integer beyond 64 bits; send it as a string", param=where)
        elif kind is dict or kind is list:
            if depth >= MAX_DEPTH and value:
                raise InvalidRequest(f"{where} is nested deeper than {MAX_DEPTH} levels; flatten it", param=where)
            _check_values(value.values() if kind is dict else value, where, depth + 1)


def _encode(data: dict[str, Any], where: str) -> tuple[dict[str, Any], str]:
    """The data without what JSON cannot say, and its text."""
    try:
        text = dump(data)
        # Words that JSON does not have: finding them, or a text that holds one, costs less than looking at each value.
        if "NaN" in text or "Infinity" in text:
            data = finite(data)
            text = dump(data)
    except PydanticSerializationError:
        # Nested beyond what can be dumped at all?
        _check_values(data.values(), where)
        raise InvalidRequest(f"{where} must be valid Unicode without lone surrogates", param=where) from None
    _check_values(data.values(), where)
    # A character takes four bytes at most: few texts are worth counting.
    if len(text) > MAX_EVENT_BYTES // 4 and len(text.encode()) > MAX_EVENT_BYTES:
        raise TooLarge(f"{where} is larger than the {MAX_EVENT_BYTES} bytes an event may have", param=where)
    return data, text


def _step(data: dict[str, Any], where: str) -> int | None:
    for key in _FIGURES:
        value = data.get(key)
        if isinstance(value, bool) or not isinstance(value, _FIGURE):
            raise InvalidRequest(f"{where}.{key} must be a number", param=f"{where}.{key}")
    step = data.get("step")
    if step is not None and not (isinstance(step, int) and 0 <= step <= MAX_SEQ):
        raise InvalidRequest(f"{where}.step must be an integer from 0 to {MAX_SEQ}", param=f"{where}.step")
    return step


def _admit_one(topic: str, event: NewEvent, where: str) -> Entry:
    within = f"{where}.data"
    data, text = _encode(event.data, within)
    step = _step(data, within) if event.event_type == METRICS_UPDATE else None
    if event.timestamp.year not in _YEARS:
        raise InvalidRequest(f"{where}.timestamp must lie between 1970 and 2999", param=f"{where}.timestamp")
    if event.event_type in OWN_WORDS:
        raise InvalidRequest(
            f"{where}.event_type is a word of the log's own; choose another", param=f"{where}.event_type"
        )
    figures = data if event.event_type == METRICS_UPDATE else None
    project, news = projects.told(topic, event.event_type, data, within)
    return Entry(
        event.event_type, event.attempt, step, event.timestamp.astimezone(UTC), text,
        ends_topic(topic, event.event_type, text), figures, project, news,
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
