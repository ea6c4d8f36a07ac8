"""What is still to be deleted of a job that is no more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

_FIRST_DELAY = timedelta(seconds=1)
_LONGEST_DELAY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is still to be deleted of a job that is no more."""

    job_id: str
    asked_at: datetime
    next_try_at: datetime
    has_log: bool
    attempts: Mapping[str, str]
    """Ids of the attempts that a worker may still have, and the worker of each."""
    tries: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return not (self.has_log or self.attempts)

    def later(self, now: datetime) -> datetime:
        """When to try the rest again: pauses double, up to a minute."""
        return now + min(_FIRST_DELAY * (1 << min(self.tries, 10)), _LONGEST_DELAY)


class DeletionRepository(Protocol):
    """Deletions that are not finished, and what they need to know."""

    def add(self, deletion: Deletion) -> None:
        """Write it down, and delete every row of the job."""
        ...

    def due(self, now: datetime, limit: int) -> list[Deletion]: ...

    def save(self, deletion: Deletion) -> None:
        """What is left of it now; with nothing left it is forgotten."""
        ...

    def waiting_for(self, job_id: str) -> list[str]:
        """Jobs that are not over and depend on this one."""
        ...

    def ended_before(self, before: datetime, after_id: str, limit: int) -> list[str]:
        """Jobs that ended before then, those with ids above `after_id`, by id."""
        ...
