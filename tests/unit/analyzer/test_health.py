"""The health score is 100 for clean data, falls with every fault, and no good part makes up for a bad one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analyzer import health
from services.analyzer.health import Part, health_score

NAMES = (health.COMPLETENESS, health.UNIQUENESS, health.VARIETY, health.LENGTH, health.SEPARATION)
faulty_rows = st.lists(st.integers(0, 100), min_size=5, max_size=5)


def _score(faulty: list[int]) -> float:
    return health_score([Part(name, count, 100) for name, count in zip(NAMES, faulty, strict=True)])


def test_clean_data_scores_100() -> None:
    assert _score([0, 0, 0, 0, 0]) == 100.0


@given(faulty=faulty_rows)
def test_the_score_stays_between_0_and_100(faulty: list[int]) -> None:
    assert 0.0 <= _score(faulty) <= 100.0


@given(faulty=faulty_rows, part=st.integers(0, 4))
def test_one_more_faulty_row_never_raises_the_score(faulty: list[int], part: int) -> None:
    worse = [count + (index == part) for index, count in enumerate(faulty)]
    assert _score(worse) <= _score(faulty)


def test_a_useless_part_makes_the_data_useless() -> None:
    assert _score([0, 0, 0, 0, 100]) == 0.0


@pytest.mark.parametrize(("name", "expected"), [(health.COMPLETENESS, 81.0), (health.UNIQUENESS, 90.0)])
def test_weights_say_how_much_a_faulty_row_counts(name: str, expected: float) -> None:
    assert health_score([Part(name, 10, 100)]) == expected


def test_an_empty_data_set_has_no_faulty_rows() -> None:
    assert Part(health.UNIQUENESS, 0, 0).value == 100.0
