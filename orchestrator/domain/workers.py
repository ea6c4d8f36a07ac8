"""What an operator has said about workers: let them run out, or count them as gone for good."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.workers import WorkerState
from shared.kit.errors import NotFound

WORKER_FORGOTTEN = "worker_forgotten"


class WorkerForgotten(NotFound):
    """An operator said that this worker is gone for good: what it had is lost, whatever it says later."""

    code = WORKER_FORGOTTEN


@dataclass(frozen=True, slots=True)
class Ruling:
    """An operator's word about one worker."""

    name: str
    state: WorkerState = WorkerState.ACTIVE
    changed_at: datetime | None = None
    changed_by: str | None = None


class WorkerRepository(Protocol):
    """Rulings by worker; a worker nobody spoke of is active."""

    def all(self) -> list[Ruling]: ...

    def hold(self, name: str) -> Ruling:
        """Held against other rulings until the transaction ends."""
        ...

    def save(self, ruling: Ruling) -> None: ...

    def has_been_used(self, name: str) -> bool:
        """Whether a job was ever placed there."""
        ...

    def at_work(self) -> dict[str, int]:
        """How many jobs each worker has that are at work."""
        ...

    def let_go(self, name: str, now: datetime) -> None:
        """Free jobs that wait for this very worker, and have those at work there looked at."""
        ...


class Roll:
    """The rulings as this process read them last; refreshed by the reconciler's turns."""

    def __init__(self, rulings: Iterable[Ruling] = ()) -> None:
        self._states: dict[str, WorkerState] = {}
        self.read(rulings)

    def read(self, rulings: Iterable[Ruling]) -> None:
        """Take over what the database says."""
        self._states = {ruling.name: ruling.state for ruling in rulings}

    def state_of(self, name: str) -> WorkerState:
        """The ruling on a worker."""
        return self._states.get(name, WorkerState.ACTIVE)

    def is_draining(self, name: str) -> bool:
        """Whether it takes no new attempts though it answers."""
        return self.state_of(name) is WorkerState.DRAINING

    def is_forgotten(self, name: str) -> bool:
        """Whether it counts as gone for good."""
        return self.state_of(name) is WorkerState.FORGOTTEN

    def without_forgotten(self, names: Iterable[str]) -> Sequence[str]:
        """Those that still count."""
        return [name for name in names if not self.is_forgotten(name)]
