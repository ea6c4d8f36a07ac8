"""The door to tokenizers: how long rows are, in tokens of the job's own model or in characters."""

import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from services.analyzer.rows import Row
from shared.contracts.base import JsonObject

_BATCH_CHARACTERS = 1 << 18


class Ruler(Protocol):
    """Measures texts."""

    unit: str

    def measure(self, texts: Sequence[str]) -> list[int]:
        """How long each text is."""
        ...


class CharacterRuler:
    """Counts characters, for want of a tokenizer."""

    unit = "characters"

    def measure(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


class TokenRuler:
    """Counts tokens of a `tokenizer.json`; turn markers of the chat template come on top in training."""

    unit = "tokens"

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def measure(self, texts: Sequence[str]) -> list[int]:
        return [len(found.ids) for found in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


class Lengths:
    """The length of every row, four bytes each."""

    def __init__(self, ruler: Ruler) -> None:
        self._ruler = ruler
        self.unit = ruler.unit
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._lengths = array("I")

    def add(self, row: Row) -> None:
        """Take a row in."""
        self._waiting.append(row.text)
        self._waiting_characters += len(row.text)
        if self._waiting_characters >= _BATCH_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        self._lengths.extend(self._ruler.measure(self._waiting))
        self._waiting, self._waiting_characters = [], 0

    def longer_than(self, limit: int) -> list[int]:
        """Numbers of the rows over the limit."""
        self._flush()
        return [number for number, length in enumerate(self._lengths, 1) if length > limit]

    def summary(self) -> JsonObject:
        """Percentiles by nearest rank: the p90 is a length that a row really has, and 90% of rows have no more."""
        self._flush()
        ordered = sorted(self._lengths)
        figures: JsonObject = {"unit": self.unit, "total": sum(ordered)}
        figures["mean"] = round(sum(ordered) / len(ordered), 2) if ordered else 0.0
        for percent in (50, 90, 95, 99):
            figures[f"p{percent}"] = nearest_rank(ordered, percent)
        return {**figures, "max": ordered[-1] if ordered else 0}


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that at least `percent` of the values do not exceed."""
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else 0
