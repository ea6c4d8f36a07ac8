"""Warm pairs that wait for a job, and when new ones are started."""

from collections.abc import Callable, Mapping

from shared.kit.clock import Clock
from shared.kit.logs import logger
from shared.worker.pair import Pair

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_SETTLE_S = 0.5
"""After a job the machine first belongs to its report."""

StartPair = Callable[[bool], Pair]
"""Starts a spare pair; the argument asks for low priority."""


class Spares:
    """A pool of `size` pairs, refilled in the background so that it does not disturb a job that runs."""

    def __init__(self, start: StartPair, size: int, refill_s: float, clock: Clock) -> None:
        self._start = start
        self._size = size
        self._refill_s = refill_s
        self._clock = clock
        self._waiting: list[Pair] = []
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._taken_at = self._busy_at = clock.monotonic() - max(refill_s, _SETTLE_S)

    def ready(self) -> int:
        """Pairs that have done their imports."""
        return sum(pair.is_ready() for pair in self._waiting)

    def take(self, visible: Mapping[str, str] | None = None) -> Pair | None:
        """The pair that waits longest, warm or still warming, and sees these devices; None when there is none.

        One that sees others is let go: what comes next would be the likelier for a new one.
        """
        self._drop_dead()
        if not self._waiting:
            return None
        self._taken_at = self._clock.monotonic()
        fitting = next((pair for pair in self._waiting if pair.visible == (visible or {})), None)
        if fitting is None:
            self._waiting.pop(0).dismiss()
            return None
        self._waiting.remove(fitting)
        return fitting

    def refill(self, *, is_busy: bool) -> None:
        """Start at most one missing pair: soon when nothing runs, else only some time after the last was taken."""
        self._drop_dead()
        now = self._clock.monotonic()
        if is_busy:
            self._busy_at = now
        if len(self._waiting) >= self._size or now < self._not_before:
            return
        if now - (self._taken_at if is_busy else self._busy_at) < (self._refill_s if is_busy else _SETTLE_S):
            return
        self._waiting.append(self._start(is_busy))

    def dismiss(self) -> None:
        """End all waiting pairs."""
        while self._waiting:
            self._waiting.pop().dismiss()

    def _drop_dead(self) -> None:
        alive = [pair for pair in self._waiting if not pair.is_gone()]
        if len(alive) < len(self._waiting):
            logger.warning("a spare engine died before use; the next starts in {} s", self._pause_s)
            self._not_before = self._clock.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        elif any(pair.is_ready() for pair in alive):
            self._pause_s = _FIRST_PAUSE_S
        self._waiting = alive
