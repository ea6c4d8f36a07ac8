"""How many jobs and events there are, for whoever watches the mesh."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind


@dataclass(frozen=True, slots=True)
class Standing:
    """Jobs of one kind in one phase, on one service's workers."""

    kind: JobKind
    phase: Phase
    service: str
    count: int
    oldest: datetime
    """When the oldest of them was submitted."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Things that wait to be done, and since when the first of them does."""

    count: int = 0
    oldest: datetime | None = None


class CensusRepository(Protocol):
    """Counts; each may read many rows, so they are taken now and then, not in a request."""

    def jobs(self) -> Sequence[Standing]:
        """Those that are not over."""
        ...

    def unsent_events(self) -> Backlog: ...

    def overdue(self, now: datetime) -> Backlog:
        """Working jobs whose look is due and that nobody holds."""
        ...
