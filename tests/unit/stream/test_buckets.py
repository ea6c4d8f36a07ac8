"""Buckets keep the extremes and the ends of what they gather, and widening them loses nothing more."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.stream.log.buckets import Bucket, fold, pack, unpack, widen

_VALUES = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
_STEPS = st.lists(st.integers(0, 3_000), unique=True, max_size=80).map(sorted)


@st.composite
def _curves(draw: st.DrawFn) -> tuple[list[int], list[Any]]:
    steps = draw(_STEPS)
    odd: st.SearchStrategy[Any] = st.sampled_from([None, [], True, "0.5"])
    return steps, draw(st.lists(st.one_of(_VALUES, odd), min_size=len(steps), max_size=len(steps)))


def _by_hand(steps: list[int], values: list[Any], width: int, origin: int) -> list[Bucket]:
    found: dict[int, Bucket] = {}
    for step, value in zip(steps, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        known = found.get((step - origin) // width, Bucket(0, step, value, step, value, step, value, step, value))
        low = (step, value) if value < known.low else (known.low_step, known.low)
        high = (step, value) if value > known.high else (known.high_step, known.high)
        found[(step - origin) // width] = Bucket(
            known.points + 1, known.first_step, known.first, *low, *high, step, value
        )
    return list(found.values())


@given(_curves(), st.integers(1, 500), st.integers(0, 9))
def test_a_bucket_keeps_first_lowest_highest_and_last(
    curve: tuple[list[int], list[Any]], width: int, origin: int
) -> None:
    assert fold(*curve, width, origin) == _by_hand(*curve, width, origin)


@given(_curves(), st.integers(1, 40), st.integers(1, 20))
def test_wider_buckets_are_the_same_whatever_they_are_made_of(
    curve: tuple[list[int], list[Any]], width: int, times: int
) -> None:
    assert widen(fold(*curve, width), width * times) == fold(*curve, width * times)


@given(_curves(), st.integers(1, 40))
def test_the_database_gives_back_what_it_was_given(curve: tuple[list[int], list[Any]], width: int) -> None:
    buckets = fold(*curve, width)
    assert unpack(pack(buckets)) == buckets


def test_a_curve_without_a_number_has_no_bucket() -> None:
    assert fold([1, 2], [None, "x"], 10) == []
    assert fold([], [], 10) == widen([], 10) == []
