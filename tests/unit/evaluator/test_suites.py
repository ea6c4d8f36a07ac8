"""A data set's rows become questions with references, whatever form they have."""

import json
from pathlib import Path

import pytest

from services.evaluator.batches import by_length
from services.evaluator.suites import question_of, read_suite
from shared.contracts.base import JsonObject
from tests.attempts import chat


def test_everything_before_the_last_answer_is_the_question() -> None:
    row: JsonObject = {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d"},
        ]
    }
    question = question_of(1, row)
    assert question is not None
    assert [turn["content"] for turn in question.messages] == ["S", "a", "b", "c"]
    assert (question.text, question.reference) == ("c", "d")


def test_the_chosen_answer_is_the_reference_of_a_preference_row() -> None:
    row: JsonObject = {
        "messages": [{"role": "user", "content": "a"}],
        "chosen": {"role": "assistant", "content": "good"},
        "rejected": {"role": "assistant", "content": "bad"},
    }
    question = question_of(1, row)
    assert question is not None
    assert question.reference == "good"


@pytest.mark.parametrize(
    "row", [{"text": "plain"}, chat("a", ""), chat(" ", "b"), {"messages": [{"role": "assistant", "content": "b"}]}]
)
def test_a_row_that_asks_or_answers_nothing_is_no_question(row: JsonObject) -> None:
    assert question_of(1, row) is None


def test_skipped_rows_are_counted_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [chat("a", "1"), chat("b", ""), chat("c", "3"), chat("d", "4")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = read_suite(path, most_rows=3)
    assert [question.row for question in suite.questions] == [1, 3]
    assert suite.skipped == 1


def test_batches_hold_every_row_once_the_longest_first() -> None:
    lengths = [3, 9, 1, 9, 5]
    found = list(by_length(lengths, 2))
    assert found == [[1, 3], [4, 0], [2]]


def test_batches_keep_within_a_budget_of_tokens_with_at_least_one_row() -> None:
    assert list(by_length([10, 5, 4, 2], 32, most_tokens=8)) == [[0], [1], [2, 3]]
