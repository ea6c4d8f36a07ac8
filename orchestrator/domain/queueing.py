"""How much waits and why: the newest word of each worker about its slots, and the bound of the queue."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from shared.contracts.work import Capacity
from shared.kit.errors import RateLimited

_COUNT_TRUSTED_S = 1.0


@dataclass(slots=True)
class Standing:
    """What is known of one worker's slots."""

    capacity: Capacity | None = None
    asked_at: float = float("-inf")
    is_stale: bool = True
    """Something happened since that may have changed it."""
    is_silent: bool = False


class WorkerBoard:
    """The newest capacity of each worker; kept in memory, so that explaining a queue costs no call."""

    def __init__(self) -> None:
        self._standings: dict[str, Standing] = {}

    def of(self, worker: str) -> Standing:
        """What is known; an empty standing for a worker never asked."""
        return self._standings.setdefault(worker, Standing())

    def heard(self, worker: str, capacity: Capacity, at: float) -> None:
        """The worker answered."""
        self._standings[worker] = Standing(capacity, at, is_stale=False)

    def silent(self, worker: str, at: float) -> None:
        """The worker did not answer."""
        standing = self.of(worker)
        standing.asked_at, standing.is_stale, standing.is_silent = at, False, True

    def mark_stale(self, worker: str) -> None:
        """A slot may have been freed or taken."""
        self.of(worker).is_stale = True

    def explain(self, worker: str, ahead: int | None = None) -> str:
        """Why a job of this worker waits, for people."""
        standing = self.of(worker)
        if standing.is_silent:
            return f"waiting for the {worker} service, which does not answer"
        if standing.capacity is None:
            return f"waiting for the {worker} service"
        used = standing.capacity.slots - standing.capacity.free
        if standing.capacity.draining:
            reason = f"waiting for the {worker} service, which is draining"
        else:
            reason = f"waiting for a free {worker} slot: {used} of {standing.capacity.slots} in use"
        return f"{reason}; {ahead} {'job goes' if ahead == 1 else 'jobs go'} first" if ahead else reason


class QueueGauge:
    """How many jobs wait, counted in the database at most once a second and kept up by hand in between."""

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._count = 0
        self._counted_at = float("-inf")

    def admit(self, count: Callable[[], int]) -> None:
        """Count one more waiting job; RateLimited when the queue is full."""
        with self._lock:
            now = self._monotonic()
            if now - self._counted_at > _COUNT_TRUSTED_S or self._count >= self._limit:
                self._count = count()
                self._counted_at = now
            if self._count >= self._limit:
                raise RateLimited(
                    f"{self._limit} jobs are waiting already; try again when some have started",
                    code="queue_full", retry_after_s=5,
                )  # fmt: skip
            self._count += 1
