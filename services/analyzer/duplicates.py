"""Finds rows that say the same, differences of width, case and spacing aside."""

from services.analyzer.rows import Row
from services.analyzer.shingles import fingerprint


class ExactDuplicates:
    """Groups rows by the hash of everything they say."""

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}
        self._groups: dict[int, list[int]] = {}

    def add(self, row: Row) -> bool:
        """Whether the row is the first of its kind."""
        key = fingerprint(row.text)
        first = self._first.setdefault(key, row.number)
        if first == row.number:
            return True
        self._groups.setdefault(first, [first]).append(row.number)
        return False

    def groups(self) -> list[list[int]]:
        """Row numbers of each group of two or more, the first one being the original."""
        return list(self._groups.values())
