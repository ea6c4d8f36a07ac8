"""Turns a normalised data set into questions: what a model is shown, and what it should say."""

from dataclasses import dataclass
from pathlib import Path

from shared.contracts.base import JsonObject
from shared.datasets.rows import read_rows


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `row` is its line in the data set, counted from 1."""

    row: int
    messages: tuple[JsonObject, ...]
    """All turns before the last answer."""
    reference: str
    tools: str = ""

    @property
    def text(self) -> str:
        """The last thing that is said before the answer."""
        return str(self.messages[-1]["content"])


@dataclass(frozen=True, slots=True)
class Suite:
    """The questions of a data set, and how many rows could not be asked."""

    questions: list[Question]
    skipped: int


def read_suite(path: Path, most_rows: int | None) -> Suite:
    """The questions of the first `most_rows` rows; a row without question or reference answer is skipped."""
    questions: list[Question] = []
    seen = 0
    for number, row in enumerate(read_rows(path), 1):
        if most_rows is not None and number > most_rows:
            break
        seen = number
        question = question_of(number, row)
        if question is not None:
            questions.append(question)
    return Suite(questions, seen - len(questions))


def question_of(number: int, row: JsonObject) -> Question | None:
    """The row's question: the chosen answer of a preference row, else its last answer, is the reference."""
    messages = row.get("messages")
    if not isinstance(messages, list):
        return None
    turns = [turn for turn in messages if isinstance(turn, dict)]
    chosen = row.get("chosen")
    if isinstance(chosen, dict):
        turns.append(chosen)
    last = max((index for index, turn in enumerate(turns) if turn["role"] == "assistant"), default=0)
    reference = str(turns[last]["content"]) if last else ""
    if not reference.strip() or not str(turns[last - 1]["content"]).strip():
        return None
    return Question(number, tuple(turns[:last]), reference, str(row.get("tools", "")))
