"""The bound of the queue, kept without asking the database in every request."""

import threading
from collections.abc import Callable

from shared.kit.errors import RateLimited

_COUNT_TRUSTED_S = 1.0


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
        self._admitted = 0

    def admit(self, count: Callable[[], int]) -> None:
        """Count one more waiting job; RateLimited when the queue is full."""
        with self._lock:
            is_full = self._count is not None and self._count >= self._limit
            if self._count is None or (is_full and self._monotonic() - self._counted_at > _COUNT_TRUSTED_S):
                self._count = count()
                self._counted_at = self._monotonic()
            if self._count >= self._limit:
                raise RateLimited(
                    f"{self._limit} jobs are waiting already; try again when some have started",
                    code="queue_full", retry_after_s=5,
                )  # fmt: skip
            self._count += 1
            self._admitted += 1

    def is_due(self) -> bool:
        """Whether it is time to count in the background."""
        return self._admitted > 0 and self._monotonic() - self._counted_at > _COUNT_TRUSTED_S

    def refresh(self, count: Callable[[], int]) -> None:
        """Count now; what is admitted meanwhile is added."""
        with self._lock:
            before = self._admitted
        counted = count()
        with self._lock:
            self._count = counted + self._admitted - before
            self._counted_at = self._monotonic()
            self._admitted -= before
