"""Counts what a data set is made of, and finds its empty rows."""

from collections import Counter

from pydantic import JsonValue

from services.analyzer.rows import Row


class Profile:
    """Counters over all rows."""

    def __init__(self) -> None:
        self.rows = 0
        self.empty: list[int] = []
        self._shapes: Counter[str] = Counter()
        self._roles: Counter[str] = Counter()
        self._characters = 0
        self._messages = 0

    def add(self, row: Row) -> None:
        """Take a row in."""
        self.rows += 1
        self._shapes[row.shape.value] += 1
        self._roles.update(row.roles)
        self._messages += len(row.roles)
        self._characters += len(row.text)
        if row.is_empty:
            self.empty.append(row.number)

    def summary(self) -> dict[str, JsonValue]:
        """The counts, for the report."""
        return {
            "rows": self.rows,
            "emptyRows": len(self.empty),
            "characters": self._characters,
            "messages": self._messages,
            "messagesPerRow": round(self._messages / self.rows, 2) if self.rows else 0.0,
            "shapes": dict(self._shapes.most_common()),
            "roles": dict(self._roles.most_common()),
        }
