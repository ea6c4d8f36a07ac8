"""Says how far an attempt has come, at most a hundred times."""

from shared.contracts.events import PROGRESS
from shared.worker.attempt import Attempt


class Meter:
    """Counts what is done of a known total; an event follows when the percentage has changed."""

    def __init__(self, attempt: Attempt, total: int) -> None:
        self._attempt = attempt
        self._total = max(total, 1)
        self._done = 0
        self._said = -1

    def advance(self, what: str, count: int = 1) -> None:
        """`count` more are done; `what` says of which kind of work."""
        self._done = min(self._done + count, self._total)
        percent = self._done * 100 // self._total
        if percent != self._said:
            self._said = percent
            self._attempt.emit(PROGRESS, {"done": self._done, "total": self._total, "what": what})
