"""Says how far the work has come, at most a hundred times a stage."""

from collections.abc import Iterator

from services.analyzer.rows import Row, RowFile
from shared.contracts.events import PROGRESS
from shared.worker.attempt import Attempt


class Progress:
    """Counts rows through all stages of an attempt."""

    def __init__(self, attempt: Attempt, total: int) -> None:
        self._attempt = attempt
        self._total = max(total, 1)
        self._done = 0
        self._said = -1

    def advance(self, what: str) -> None:
        """One more row is done; an event follows when the percentage changed."""
        self._done = min(self._done + 1, self._total)
        percent = self._done * 100 // self._total
        if percent != self._said:
            self._said = percent
            self._attempt.emit(PROGRESS, {"done": self._done, "total": self._total, "what": what})

    def over(self, rows: RowFile, what: str) -> Iterator[Row]:
        """The rows, counted as they pass."""
        for row in rows:
            yield row
            self.advance(what)
