"""Shingles see through width, case and spacing, and weigh every token alike."""

import pytest

from services.analyzer.shingles import fingerprint, jaccard, shingles, tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [("Hello  World", "hello world\n"), ("ＡＢＣ１２３", "abc123"), ("你好　世界", "你好 世界"), ("Straße", "STRASSE")],
)
def test_differences_of_width_case_and_spacing_do_not_count(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_signs_count_and_sentence_punctuation_does_not() -> None:
    assert tokens("What is 3 + 4?") == ["what", "is", "3", "+", "4"]
    assert tokens("今天，3加4。") == ["今", "天", "3", "加", "4"]


def test_spaced_scripts_are_compared_by_words_and_chinese_by_characters() -> None:
    assert shingles("red blue") == frozenset({" red", "red blue", "blue "})
    assert shingles("你好吗") == frozenset({"  你", " 你 好", "你 好 吗", "好 吗 ", "吗  "})


def test_a_text_without_tokens_is_like_nothing() -> None:
    assert shingles(" ?! ") == frozenset()
    assert jaccard(frozenset(), frozenset()) == 0.0


def test_a_change_at_the_end_weighs_as_much_as_one_in_the_middle() -> None:
    words = [f"word{index}" for index in "abcdefghij"]
    whole = shingles(" ".join(words))
    at_end = shingles(" ".join([*words[:-1], "other"]))
    in_the_middle = shingles(" ".join([*words[:5], "other", *words[6:]]))
    assert jaccard(whole, at_end) == jaccard(whole, in_the_middle) == pytest.approx(9 / 13)


def test_a_brief_text_with_other_numbers_asks_something_else() -> None:
    assert jaccard(shingles("how much is 12 plus 30 today"), shingles("how much is 12 plus 31 today")) == 0.0


def test_a_long_text_may_differ_in_a_number() -> None:
    story = " ".join(f"w{index}x" for index in range(100))
    assert jaccard(shingles(f"page 3 {story}"), shingles(f"page 4 {story}")) > 0.9
