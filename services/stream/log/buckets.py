"""Points of a figure gathered by steps: what a bucket of steps keeps of them, and how buckets become wider ones."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

_NUMBERS = frozenset({int, float})


class Bucket(NamedTuple):
    """The points of a run of steps: how many, and the first, lowest, highest and last of them."""

    points: int
    first_step: int
    first: float
    low_step: int
    low: float
    high_step: int
    high: float
    last_step: int
    last: float


def fold(steps: Sequence[int], values: Sequence[Any], width: int, origin: int = 0) -> list[Bucket]:
    """Buckets of `width` steps counted from `origin`; `steps` ascend, and what is no number is no point."""
    if not _NUMBERS.issuperset(map(type, values)):
        points = [(step, value) for step, value in zip(steps, values, strict=True) if type(value) in _NUMBERS]
        steps, values = [step for step, _ in points], [value for _, value in points]
    found: list[Bucket] = []
    start = 0
    while start < len(steps):
        bound = ((steps[start] - origin) // width + 1) * width + origin
        end = bisect_left(steps, bound, start)
        part = values[start:end]
        low, high = min(part), max(part)
        found.append(Bucket(
            end - start, steps[start], part[0], steps[start + part.index(low)], low,
            steps[start + part.index(high)], high, steps[end - 1], part[-1],
        ))  # fmt: skip
        start = end
    return found


def widen(buckets: Iterable[Bucket], width: int, origin: int = 0) -> list[Bucket]:
    """The same points in buckets of `width` steps; those given ascend and none crosses a bound of the new ones."""
    groups = groupby(buckets, key=lambda bucket: (bucket.first_step - origin) // width)
    return [_join(list(group)) for _, group in groups]


def _join(group: list[Bucket]) -> Bucket:
    if len(group) == 1:
        return group[0]
    first, last = group[0], group[-1]
    low, high = min(group, key=attrgetter("low")), max(group, key=attrgetter("high"))
    return Bucket(
        sum(bucket.points for bucket in group), first.first_step, first.first, low.low_step, low.low,
        high.high_step, high.high, last.last_step, last.last,
    )  # fmt: skip


def pack(buckets: Iterable[Bucket]) -> str:
    """As text for the database; a bucket of one point is its step and value."""
    rows = [(bucket.first_step, bucket.first) if bucket.points == 1 else bucket for bucket in buckets]
    return json.dumps(rows, separators=(",", ":"), allow_nan=False)


def unpack(text: str) -> list[Bucket]:
    """What `pack` was given."""
    return [Bucket(1, *row * 4) if len(row) == 2 else Bucket(*row) for row in json.loads(text)]
