"""The newest word of each worker about its room, kept in memory, so that explaining a queue costs no call."""

from dataclasses import dataclass

from shared.contracts.work import Capacity


@dataclass(slots=True)
class Standing:
    """What is known of one worker's room."""

    capacity: Capacity | None = None
    asked_at: float = float("-inf")
    is_stale: bool = True
    """Something happened since that may have changed it."""
    is_silent: bool = False


class WorkerBoard:
    """The newest capacity of each worker, by its name."""

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
        """Room may have been freed or taken."""
        self.of(worker).is_stale = True
