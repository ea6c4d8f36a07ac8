"""A journal's line carries whatever people log."""

import json
import math
from typing import Any

from imts.tracking.lines import MAX_LINE_BYTES, encode


class Scalar:
    """What array libraries give."""

    def __init__(self, value: float) -> None:
        self.value = value

    def item(self) -> float:
        return self.value


def _data(values: dict[Any, object]) -> dict[str, object]:
    line = encode("metrics_update", values)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    data: dict[str, object] = json.loads(line)["data"]
    return data


def test_array_scalars_become_numbers() -> None:
    assert _data({"loss": Scalar(0.5), "deep": {"norm": Scalar(2.0)}}) == {"loss": 0.5, "deep": {"norm": 2.0}}


def test_what_is_not_finite_becomes_null_and_is_named() -> None:
    assert _data({"loss": Scalar(math.nan), "lr": math.inf}) == {
        "loss": None, "lr": None, "non_finite": ["loss", "lr"],
    }  # fmt: skip


def test_odd_keys_and_values_become_text() -> None:
    data = _data({("a", 1): object, "lines": "a\nb", "set": {1}})
    assert data["a,1"] == "<class 'object'>"
    assert data["lines"] == "a\nb"


def test_a_circle_ends() -> None:
    circle: dict[Any, object] = {}
    circle["self"] = circle
    assert "self" in _data(circle)


def test_what_is_too_large_is_noted() -> None:
    line = encode("metrics_update", {"x": "y" * 2 * MAX_LINE_BYTES})
    assert len(line) < 500
    assert json.loads(line)["event_type"] == "log"
