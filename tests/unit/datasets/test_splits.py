"""Rows are held out by their content: about as many as asked, and always the same ones."""

import pytest

from shared.datasets.splits import Split

ROWS = [f'{{"text":"row {number}"}}\n'.encode() for number in range(1_000)]


def held_out(rows: list[bytes], share: float = 0.1, seed: int = 7) -> set[bytes]:
    split = Split.of(rows, share, seed)
    found = [row for row in rows if split.holds_out(row)]
    assert (split.held_out, split.kept) == (len(found), len(rows) - len(found))
    return set(found)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_about_the_share_is_held_out(share: float) -> None:
    assert len(held_out(ROWS, share)) == pytest.approx(1_000 * share, abs=60)


def test_a_row_keeps_its_side_when_others_come_and_go() -> None:
    assert held_out(ROWS[300:][::-1]) == held_out(ROWS) & set(ROWS[300:])


def test_equal_rows_are_on_one_side() -> None:
    assert held_out(ROWS + ROWS) == held_out(ROWS)
    assert held_out([ROWS[0]] * 3, 0.5) in (set(), {ROWS[0]})


def test_another_seed_holds_out_other_rows() -> None:
    assert held_out(ROWS, seed=8) != held_out(ROWS)


@pytest.mark.parametrize("share", [1e-9, 0.999999])
def test_of_two_different_rows_one_is_on_each_side(share: float) -> None:
    assert len(held_out(ROWS[:2], share)) == 1


def test_nothing_is_held_out_of_nothing() -> None:
    assert held_out([]) == set()


def test_a_last_line_without_an_end_is_the_same_row() -> None:
    split = Split.of(ROWS, 0.1, 7)
    assert all(split.holds_out(row) == split.holds_out(row.rstrip(b"\n")) for row in ROWS)
