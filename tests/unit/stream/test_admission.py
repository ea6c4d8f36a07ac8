"""What may enter the log, beside the same rules written down slowly: pydantic looks at every value."""

import json
from datetime import UTC, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.stream.intake import Parcel
from services.stream.log.admission import MAX_DEPTH, admit
from services.stream.log.figures import Source, merge, merge_all
from shared.contracts.base import JsonObject
from shared.contracts.events import MAX_EVENT_BYTES, METRICS_UPDATE, AppendRequest, NewEvent
from shared.kit.errors import ImtsError

Outcome = tuple[Any, ...]
_AT = "2026-01-01T05:00:00.123456+05:00"
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=6),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), 10**30, 2**53, float("nan"), float("inf"), -float("inf")]),
    st.sampled_from(["NaN", "Infinity", "a:b", "\ud800", "\u2028\x00", "x" * 40_000, "训" * 22_000]),
)  # fmt: skip
_KEYS = st.sampled_from(["step", "train_loss", "val_loss", "learning_rate", "non_finite", "a", "b.c", "训练"])
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=6
)
_DEEP = st.integers(MAX_DEPTH - 3, MAX_DEPTH + 2).map(lambda depth: json.loads("[" * depth + "]" * depth))
_DATA = st.dictionaries(_KEYS, _VALUES | _DEEP, max_size=5)
_PLAIN = st.fixed_dictionaries({
    "event_type": st.sampled_from([METRICS_UPDATE, METRICS_UPDATE, "log", "phase_changed"]),
    "timestamp": st.sampled_from([_AT, "2026-01-01T00:00:00Z", 7]), "data": _DATA,
})  # fmt: skip
_ODD = st.sampled_from([
    {}, {}, {}, {}, {"attempt": 3}, {"attempt": None}, {"attempt": -1}, {"attempt": True}, {"attempt": 10**6 + 1},
    {"extra": 1}, {"event_type": "Not a type"}, {"timestamp": "2026-01-01T00:00:00"},
    {"timestamp": "0001-01-01T00:00:00Z"}, {"data": []}, {"data": None},
])  # fmt: skip
_EVENTS = st.builds(lambda plain, odd: plain | odd, _PLAIN, _ODD)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=-1) if isinstance(value, dict | list) and inner else 0


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict | list):
        return [found for item in (value.values() if isinstance(value, dict) else value) for found in _integers(item)]
    return [value] if isinstance(value, int) else []


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _fault_of(data: JsonObject, event_type: str, where: str) -> Outcome | None:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if _depth(data) > MAX_DEPTH or any(abs(number) > 2**63 - 1 for number in _integers(data)):
        return 422, where
    if any("\ud800" <= char <= "\udfff" for char in text):
        return 422, where
    if len(text.encode()) > MAX_EVENT_BYTES:
        return 413, where
    if event_type != METRICS_UPDATE:
        return None
    for key in ("step", "train_loss", "val_loss", "learning_rate"):
        if not _is_number(data.get(key)):
            return 422, f"{where}.{key}"
    step = data.get("step")
    return None if step is None or (isinstance(step, int) and 0 <= step < 2**53) else (422, f"{where}.step")


def _slowly(events: list[Any]) -> Outcome:
    """The rules one by one, over the contract's own model."""
    try:
        checked = AppendRequest.model_validate({"producer": "p", "first_seq": 1, "events": events}).events
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]["loc"]
        return 422, ".".join(map(str, first))
    found: list[Outcome] = []
    for place, event in enumerate(checked):
        if refused := _fault_of(event.data, event.event_type, f"events.{place}.data"):
            return refused
        if not 1970 <= event.timestamp.year < 3000:
            return 422, f"events.{place}.timestamp"
        step = event.data.get("step") if event.event_type == METRICS_UPDATE else None
        found.append((event.event_type, event.attempt, step, event.timestamp.astimezone(UTC), event.data))
    return tuple(found)


def _outcome(events: list[Any]) -> Outcome:
    body = json.dumps({"producer": "p", "first_seq": 1, "events": events}).encode()
    try:
        entries = admit("project:x", Parcel(body, False, None).open(10**8).events)
    except ImtsError as fault:
        return fault.status, fault.param
    assert all(entry.timestamp.utcoffset() == timedelta(0) for entry in entries)
    return tuple(
        (entry.event_type, entry.attempt, entry.step, entry.timestamp, json.loads(entry.data)) for entry in entries
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(_EVENTS, min_size=1, max_size=3))
@example([{"event_type": "log", "timestamp": _AT, "data": {"a": float("nan"), "non_finite": [{}, "b", 3]}}])
@example([{"event_type": "log", "timestamp": _AT, "data": {"a": "训" * 22_000}}])
@example([{"event_type": "log", "timestamp": _AT, "data": {"a": "x" * (MAX_EVENT_BYTES - 8)}}])
@example([{"event_type": "log", "timestamp": _AT, "data": {"a": "x" * (MAX_EVENT_BYTES - 7)}}])
def test_it_takes_and_refuses_what_the_slow_rules_do(events: list[Any]) -> None:
    assert repr(_outcome(events)) == repr(_slowly(events))


_FIGURES = st.dictionaries(st.sampled_from(["step", "loss", "lr", "non_finite"]), st.integers(0, 3), max_size=4)


@given(st.lists(st.tuples(st.sampled_from([None, 1, 1, 2]), st.booleans(), _FIGURES), max_size=8))
def test_figures_merged_a_run_at_a_time_are_those_merged_one_by_one(told: list[tuple[int | None, bool, Any]]) -> None:
    events = [
        NewEvent.model_validate({
            "event_type": METRICS_UPDATE if has_figures else "log", "timestamp": _AT, "attempt": attempt, "data": data,
        })
        for attempt, has_figures, data in told
    ]  # fmt: skip
    entries = admit("job:x", events)
    one_by_one: JsonObject = {}
    for seq, entry in enumerate(entries, start=5):
        if entry.figures is not None:
            one_by_one = merge(one_by_one, entry.figures, Source(seq, entry.attempt, entry.timestamp))
    assert merge_all({}, entries, 4 + len(entries)) == one_by_one
