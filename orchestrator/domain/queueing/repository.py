"""What the queue needs from its store."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from orchestrator.domain.job import Job
from orchestrator.domain.queueing.estimating import Finished
from orchestrator.domain.queueing.lanes import Lane, Line


class LineRepository(Protocol):
    """Who waits in line for the workers of a service."""

    def awaited(self, services: Sequence[str]) -> list[str]:
        """Those of these services for which a job stands in line."""
        ...

    def look(self, service: str, now: datetime, depth: int) -> Line:
        """The first `depth` of every lane that nobody holds, with the bounds that hold for them."""
        ...

    def bounds(self) -> Line:
        """The bounds alone: no heads."""
        ...

    def ahead(self, job: Job) -> Mapping[Lane, int]:
        """How many jobs of the same service have an earlier turn."""
        ...

    def running_since(self, service: str) -> list[datetime]:
        """When the jobs began that are at work for this service."""
        ...

    def finished_like(self, job: Job, limit: int) -> list[Finished]:
        """The newest jobs of its kind that succeeded in one attempt."""
        ...

    def count_of(self, project: str, at_most: int) -> int:
        """How many jobs of the project are queued, in line or held; counting stops at `at_most`."""
        ...

    def tidy(self) -> None:
        """Forget the lanes that nobody stands in any more, and find those that an older version left unnamed."""
        ...

    def has_place(self, job: Job) -> bool:
        """Whether no bound keeps it from starting; held against other starts until the transaction ends."""
        ...
