"""The bound of the queue, kept without asking the database in every request."""

import threading
from collections.abc import Callable

from shared.kit.errors import RateLimited

_COUNT_TRUSTED_S = 1.0
_COUNTING_SHARE = 0.02
"""Of the time: the longer the queue, the longer a count takes, and the less often it is made."""


class QueueGauge:
    """How many jobs wait: counted in the background, kept up by hand in between.

    Counting a long queue takes tens of milliseconds; a request counts itself only when it would be refused.
    """

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._count: int | None = None
        self._counted_at = float("-inf")
        self._took_s = 0.0
        self._admitted = 0

    def admit(self, count: Callable[[], int]) -> None:
        """Count one more waiting job; RateLimited when the queue is full."""
        with self._lock:
            is_full = self._count is not None and self._count >= self._limit
            if self._count is None or (is_full and not self._is_trusted()):
                self._count = self._timed(count)
            if self._count >= self._limit:
                raise RateLimited(
                    f"{self._limit} jobs are waiting already; try again when some have started",
                    code="queue_full", retry_after_s=5,
                )  # fmt: skip
            self._count += 1
            self._admitted += 1

    def is_due(self) -> bool:
        """Whether it is time to count in the background."""
        return self._admitted > 0 and not self._is_trusted()

    def refresh(self, count: Callable[[], int]) -> None:
        """Count now; what is admitted meanwhile is added."""
        with self._lock:
            before = self._admitted
        counted = self._timed(count)
        with self._lock:
            self._count = counted + self._admitted - before
            self._admitted -= before

    def _timed(self, count: Callable[[], int]) -> int:
        began = self._monotonic()
        counted = count()
        self._counted_at = self._monotonic()
        self._took_s = self._counted_at - began
        return counted

    def _is_trusted(self) -> bool:
        return self._monotonic() - self._counted_at <= max(_COUNT_TRUSTED_S, self._took_s / _COUNTING_SHARE)
