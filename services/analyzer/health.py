"""Puts one number on a data set: how much of it is of use, 0 to 100, with the parts it is made of.

Each part is `100 * (1 - share of faulty rows)`. The score is `100 * product((part / 100) ** weight)`, so it is 100 only
when every part is, falls whenever a part falls, and no good part makes up for a bad one. A weight of 2 counts a
faulty row about twice, one of 0.5 about half.
"""

import math
from dataclasses import dataclass

from shared.contracts.base import JsonObject

COMPLETENESS = "completeness"
UNIQUENESS = "uniqueness"
VARIETY = "variety"
LENGTH = "length"
SEPARATION = "separation"

_WEIGHTS = {
    COMPLETENESS: (2.0, "a row without question or answer teaches the model to say nothing"),
    UNIQUENESS: (1.0, "a repeated row is one row that counts twice"),
    VARIETY: (0.5, "a nearly repeated row still adds a little"),
    LENGTH: (0.5, "a cut row is learned in part"),
    SEPARATION: (2.0, "every test row that training has seen makes the test say less"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One aspect of health: `faulty` of `total` rows have the fault."""

    name: str
    faulty: int
    total: int

    @property
    def value(self) -> float:
        """0 to 100."""
        return 100.0 * (1.0 - min(self.faulty, self.total) / self.total) if self.total else 100.0

    def as_json(self) -> JsonObject:
        """The part with its evidence and the reason for its weight."""
        weight, reason = _WEIGHTS[self.name]
        return {
            "value": round(self.value, 2),
            "weight": weight,
            "faultyRows": self.faulty,
            "totalRows": self.total,
            "formula": "100 * (1 - faultyRows / totalRows)",
            "why": reason,
        }


def health_score(parts: list[Part]) -> float:
    """The weighted product of the parts, to one decimal."""
    share: float = math.prod((part.value / 100.0) ** _WEIGHTS[part.name][0] for part in parts)
    return round(100.0 * share, 1)
