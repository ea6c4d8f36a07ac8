"""Reads a normalised data set a row at a time, or one row by its number."""

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Shape(StrEnum):
    """What a normalised row holds."""

    MESSAGES = "messages"
    PREFERENCE = "preference"
    KTO = "kto"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Row:
    """One row, taken apart: `question` is what a model is shown, `answer` what it should say."""

    number: int
    """Its line in the data set, counted from 1."""
    shape: Shape
    roles: tuple[str, ...]
    question: str
    answer: str
    text: str
    """Everything the row says, with every turn on a line of its own."""

    @property
    def is_empty(self) -> bool:
        """Nothing is asked, or nothing is answered."""
        return not self.question.strip() or (self.shape is not Shape.TEXT and not self.answer.strip())


def _shape_of(row: dict[str, Any]) -> Shape:
    if "messages" not in row:
        return Shape.TEXT
    if "chosen" in row:
        return Shape.PREFERENCE
    return Shape.KTO if "label" in row else Shape.MESSAGES


def parse_row(number: int, line: bytes) -> Row:
    """Take a normalised line apart."""
    row = json.loads(line)
    shape = _shape_of(row)
    if shape is Shape.TEXT:
        return Row(number, shape, (), row["text"], "", row["text"])
    messages = row["messages"]
    roles = tuple(message["role"] for message in messages)
    contents = [message["content"] for message in messages]
    if shape is Shape.PREFERENCE:
        chosen, rejected = row["chosen"]["content"], row["rejected"]["content"]
        question = "\n".join(contents)
        return Row(number, shape, roles, question, chosen, "\n".join([question, chosen, rejected]))
    answer_at = max((index for index, role in enumerate(roles) if role == "assistant"), default=len(roles))
    answer = contents[answer_at] if answer_at < len(roles) else ""
    return Row(number, shape, roles, "\n".join(contents[:answer_at]), answer, "\n".join(contents))


class RowFile:
    """A normalised JSON Lines file. Iterating it also learns where each row starts, eight bytes a row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("Q")

    def __iter__(self) -> Iterator[Row]:
        self._starts = array("Q")
        start = 0
        with self._path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                self._starts.append(start)
                start += len(line)
                yield parse_row(number, line)

    def at(self, number: int) -> Row:
        """A row that iterating has passed."""
        with self._path.open("rb") as stream:
            stream.seek(self._starts[number - 1])
            return parse_row(number, stream.readline())
