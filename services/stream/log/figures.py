"""The newest value of every figure, kept beside the topic so that reading it costs one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from pydantic import JsonValue

from services.stream.log.entries import Entry
from shared.contracts.base import JsonObject
from shared.contracts.events import CurrentMetrics

MAX_FIGURES = 512
_NON_FINITE = "non_finite"


@dataclass(frozen=True, slots=True)
class Source:
    """The event that figures come from."""

    seq: int
    attempt: int | None
    timestamp: datetime


def merge_all(figures: JsonObject, entries: Sequence[Entry], last_seq: int) -> JsonObject:
    """`figures` after a run of events, the last of them numbered `last_seq`: merged once for each attempt in it."""
    first_seq = last_seq - len(entries) + 1
    telling = [(seq, entry) for seq, entry in enumerate(entries, first_seq) if entry.figures is not None]
    for attempt, numbered in groupby(telling, key=lambda pair: pair[1].attempt):
        run = list(numbered)
        latest: JsonObject = {}
        for _, entry in run:
            latest.pop(_NON_FINITE, None)
            latest.update(entry.figures or {})
        seq, last = run[-1]
        figures = merge(figures, latest, Source(seq, attempt, last.timestamp))
    return figures


def merge(figures: JsonObject, data: JsonObject, source: Source) -> JsonObject:
    """`figures` after one more event: a value gives way to one of the same or a newer attempt."""
    attempt = source.attempt or 0
    values = dict(_values(figures))
    if attempt >= _attempt_of(values.get(_NON_FINITE)):
        values.pop(_NON_FINITE, None)
    for key, value in data.items():
        known = values.get(key)
        if attempt >= _attempt_of(known) and (known is not None or len(values) < MAX_FIGURES):
            values[key] = [attempt, value]
    newest = max(attempt, _attempt_of([figures.get("attempt") or 0]))
    return {"seq": source.seq, "attempt": newest, "timestamp": source.timestamp.isoformat(), "values": values}


def _values(figures: JsonObject) -> JsonObject:
    values = figures.get("values", {})
    assert isinstance(values, dict)
    return values


def _attempt_of(known: JsonValue) -> int:
    return known[0] if isinstance(known, list) and isinstance(known[0], int) else 0


def view(job_id: str, figures: JsonObject | None) -> CurrentMetrics:
    """Figures as the API answers them."""
    if not figures:
        return CurrentMetrics(job_id=job_id)
    data = {key: pair[1] for key, pair in _values(figures).items() if isinstance(pair, list)}
    seq, attempt, timestamp = figures["seq"], figures["attempt"], figures["timestamp"]
    assert isinstance(seq, int)
    assert isinstance(attempt, int)
    assert isinstance(timestamp, str)
    return CurrentMetrics(
        job_id=job_id, attempt=attempt or None, seq=seq, timestamp=datetime.fromisoformat(timestamp), data=data
    )
