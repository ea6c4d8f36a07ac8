"""Scores agree with values worked out by hand, in English and in Chinese."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluator.scorers import SCORERS
from services.evaluator.scorers.chrf import chrf
from services.evaluator.scorers.exact_match import exact_match
from services.evaluator.scorers.token_f1 import squad_tokens, token_f1


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("7", " 7\n", 1.0),
        ("two  words", "two words", 1.0),
        ("e\u0301", "é", 1.0),
        ("Seven", "seven", 0.0),
        ("7.", "7", 0.0),
        ("", "7", 0.0),
    ],
)
def test_exact_match_forgives_spacing_only(answer: str, reference: str, expected: float) -> None:
    assert exact_match(answer, reference) == expected


def test_squad_tokens_drop_case_punctuation_and_articles_and_split_chinese() -> None:
    assert squad_tokens("The cat, a dog!") == ["cat", "dog"]
    assert squad_tokens("答案是42。") == ["答", "案", "是", "42"]


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the cat sat", "a cat sat down", 0.8),  # cat sat / cat sat down: P 1, R 2/3
        ("b b b", "b", 0.5),  # P 1/3, R 1
        ("等于七", "七", 0.5),
        ("the", "an", 1.0),  # nothing is left of either
        ("the", "cat", 0.0),
        ("x", "y", 0.0),
    ],
)
def test_token_f1_is_the_harmonic_mean_of_precision_and_recall(answer: str, reference: str, expected: float) -> None:
    assert token_f1(answer, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("abc", "abc", 1.0),
        ("a b c", "abc", 1.0),  # white space is dropped
        ("7", "7", 1.0),  # shorter than six characters: only the orders there are
        ("xyz", "abc", 0.0),
        ("", "abc", 0.0),
        # orders 1 and 2: precision (1 + 1) / 2, recall (2/3 + 1/2) / 2 = 7/12; 5PR / (4P + R)
        ("ab", "abc", 5 * (7 / 12) / (4 + 7 / 12)),
        # the other way round: precision 7/12, recall 1
        ("abc", "ab", 5 * (7 / 12) / (4 * 7 / 12 + 1)),
        # clipped counts: order 1 shares 1 of 2, order 2 shares 0 of 1
        ("aa", "ab", 0.25),
        # orders 1, 2, 3: 2/3, 1/2, 0 each way
        ("天气好", "天气坏", (2 / 3 + 1 / 2) / 3),
    ],
)
def test_chrf_agrees_with_values_worked_out_by_hand(answer: str, reference: str, expected: float) -> None:
    assert chrf(answer, reference) == pytest.approx(expected)


@given(answer=st.text(max_size=40), reference=st.text(max_size=40))
def test_every_score_lies_between_0_and_1(answer: str, reference: str) -> None:
    assert all(-1e-9 <= score(answer, reference) <= 1 + 1e-9 for score in SCORERS.values())


@given(text=st.text(min_size=1, max_size=40))
def test_a_text_scores_1_against_itself(text: str) -> None:
    assert all(score(text, text) == pytest.approx(1.0) for score in SCORERS.values())
