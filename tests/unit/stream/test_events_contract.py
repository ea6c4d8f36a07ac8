"""Non-finite figures are cleaned wherever an event is made."""

import math
from datetime import UTC, datetime

from shared.contracts.base import JsonObject
from shared.contracts.events import NewEvent


def _data(**data: object) -> JsonObject:
    event = {"event_type": "log", "timestamp": datetime(2026, 1, 1, tzinfo=UTC), "data": data}
    return NewEvent.model_validate(event).data


def test_nan_and_infinity_become_null_and_are_named() -> None:
    assert _data(a=math.nan, b={"c": [1, -math.inf]}, d=1) == {
        "a": None, "b": {"c": [1, None]}, "d": 1, "non_finite": ["a", "b.c"],
    }  # fmt: skip


def test_names_that_were_declared_already_stay() -> None:
    assert _data(a=None, b=math.inf, non_finite=["a"])["non_finite"] == ["a", "b"]


def test_finite_data_is_left_alone() -> None:
    assert _data(a=1, non_finite="mine") == {"a": 1, "non_finite": "mine"}
