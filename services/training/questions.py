"""What of a data set a base model may have read before it is fine-tuned."""

from collections.abc import Iterator
from pathlib import Path

from services.training.stage_rows import Row
from shared.datasets.pictured import IMAGE
from shared.datasets.rows import read_rows


def questions(blob: Path) -> Iterator[str]:
    """What a base model may have read: texts whole, of conversations the user's side, never an answer."""
    for row in read_rows(blob):
        yield from filter(str.strip, _texts(row))


def _texts(row: Row) -> list[str]:
    if "text" in row:
        return [row["text"]]
    # Where an image stands is no text: a tokenizer that knows the word would not see the place.
    asked = (turn["content"] for turn in row["messages"] if turn["role"] in {"system", "user"})
    return [text.replace(IMAGE, "") for text in asked] if row.get("images") else list(asked)
