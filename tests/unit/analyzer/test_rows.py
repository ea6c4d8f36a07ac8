"""Rows are taken apart into what is asked and what is answered, and can be read again by number."""

import json
from pathlib import Path

import pytest

from services.analyzer.rows import RowFile, Shape, parse_row
from shared.contracts.base import JsonObject
from tests.attempts import chat


def _parse(row: JsonObject) -> object:
    found = parse_row(1, json.dumps(row).encode())
    return found.shape, found.question, found.answer


def test_the_last_answer_of_a_conversation_is_its_answer() -> None:
    row: JsonObject = {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d"},
        ]
    }
    assert _parse(row) == (Shape.MESSAGES, "S\na\nb\nc", "d")


def test_the_chosen_answer_of_a_preference_row_is_its_answer() -> None:
    row: JsonObject = {
        "messages": [{"role": "user", "content": "a"}],
        "chosen": {"role": "assistant", "content": "good"},
        "rejected": {"role": "assistant", "content": "bad"},
    }
    assert _parse(row) == (Shape.PREFERENCE, "a", "good")


def test_plain_text_is_all_question() -> None:
    assert _parse({"text": "once"}) == (Shape.TEXT, "once", "")


@pytest.mark.parametrize(
    ("row", "is_empty"),
    [
        (chat("a", "b"), False),
        (chat("a", "  \n"), True),
        (chat(" ", "b"), True),
        ({"text": "once"}, False),
        ({"text": "\t"}, True),
        ({**chat("a", "b"), "label": False}, False),
    ],
)
def test_a_row_is_empty_when_nothing_is_asked_or_nothing_answered(row: JsonObject, is_empty: bool) -> None:
    assert parse_row(1, json.dumps(row).encode()).is_empty == is_empty


def test_a_row_is_found_again_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps(chat(f"第{number}问", "答"), ensure_ascii=False) + "\n" for number in range(1, 6))
    )
    rows = RowFile(path)
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert rows.at(4).question == "第4问"
    assert rows.at(1).question == "第1问"
