"""Languages are told by script where possible, and short texts are judged in company."""

import pytest

from services.analyzer.languages import Languages, language_by_script


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("3 加 4 等于几？", "zh"),
        ("日本語で答えてください", "ja"),
        ("안녕하세요", "ko"),
        ("3 + 4 = 7", "und"),
        ("Use Python 3 to sort", None),
        ("用 Python 写一个排序函数", "zh"),
    ],
)
def test_a_script_of_its_own_tells_the_language(text: str, language: str | None) -> None:
    assert language_by_script(text) == language


def test_short_questions_are_taken_to_be_in_the_language_they_share() -> None:
    languages = Languages()
    for number in range(50):
        languages.add(f"What is {number} plus 4?")
        languages.add("No")
        languages.add("Add 3.")
    assert languages.counts() == {"en": 150}


def test_two_languages_are_counted_apart() -> None:
    languages = Languages()
    for _ in range(10):
        languages.add("The committee will meet again on Thursday to discuss the proposal in detail.")
        languages.add("Der Ausschuss trifft sich am Donnerstag wieder, um den Vorschlag zu besprechen.")
        languages.add("委员会将于星期四再次开会讨论这项提案。")
    assert languages.counts() == {"en": 10, "de": 10, "zh": 10}
