"""Lengths are those rows really have."""

import pytest

from services.analyzer.lengths import CharacterRuler, Lengths, nearest_rank
from services.analyzer.rows import Row, Shape


def _row(number: int, length: int) -> Row:
    return Row(number, Shape.TEXT, (), "x" * length, "", "x" * length)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, 0), ([7], 99, 7), ([1, 2, 3, 4], 50, 2), (list(range(1, 101)), 90, 90), (list(range(1, 101)), 99, 99)],
)
def test_a_percentile_is_the_nearest_rank(values: list[int], percent: int, expected: int) -> None:
    assert nearest_rank(values, percent) == expected


def test_over_long_rows_are_named_by_number() -> None:
    lengths = Lengths(CharacterRuler())
    for number, length in enumerate([5, 300_000, 9, 10, 11], 1):
        lengths.add(_row(number, length))
    assert lengths.longer_than(10) == [2, 5]
    summary = lengths.summary()
    assert (summary["unit"], summary["p50"], summary["max"]) == ("characters", 10, 300_000)
