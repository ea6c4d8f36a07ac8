"""The rows of the orchestrator's database in memory."""

from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.job import Attempt, HistoryEntry, Job, OutboxEvent


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a job, and how long."""

    owner: str
    token: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Unsent:
    """An event of the outbox."""

    event: OutboxEvent
    next_try_at: datetime
    sent_at: datetime | None = None


@dataclass(slots=True)
class Tables:
    """All rows; values are immutable, so that a copy of the dictionaries is a snapshot."""

    jobs: dict[str, Job] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    history: list[HistoryEntry] = field(default_factory=list)
    outbox: dict[tuple[str, int], Unsent] = field(default_factory=dict)

    def is_free(self, job_id: str, now: datetime) -> bool:
        """Whether nobody holds the job."""
        holder = self.holders.get(job_id)
        return holder is None or holder.until < now

    def copy(self) -> "Tables":
        """A snapshot to write to."""
        return Tables(dict(self.jobs), dict(self.holders), dict(self.attempts), list(self.history), dict(self.outbox))
