"""The orchestrator's database in memory: whole transactions, guarded saves, and commits that fail in every way."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from orchestrator.domain.audit import Change
from orchestrator.domain.job import Attempt, HistoryEntry, Job, Leased, NewJob, OutboxEvent
from orchestrator.domain.job_machine import WORKING
from orchestrator.domain.ports import AlreadyThere, Lease, UnitOfWork
from orchestrator.domain.queueing.lanes import Lane, Line, Waiting, group_of_project, lane_of
from orchestrator.domain.workers import Ruling
from shared.contracts.events import ATTEMPT_LOG_INCOMPLETE
from shared.contracts.jobs import Phase
from shared.contracts.work import ExitReport, Failure
from shared.kit.errors import Unavailable
from tests.simulation.chance import Chance
from tests.simulation.invariants import check_commit, require

T = TypeVar("T")


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


def is_in_line(job: Job) -> bool:
    """Whether its turn will find it."""
    return job.is_waiting and not job.is_held


class Jobs:
    """`JobRepository` of one transaction, as far as the loops use it."""

    def __init__(self, tables: Tables, tokens: Callable[[], str]) -> None:
        self._tables = tables
        self._tokens = tokens

    def add(self, jobs: Sequence[NewJob]) -> None:
        for new in jobs:
            if new.job.job_id in self._tables.jobs:
                raise AlreadyThere
            self._tables.jobs[new.job.job_id] = new.job

    def find(self, job_id: str) -> Job | None:
        return self._tables.jobs.get(job_id)

    find_locked = find

    def find_held(self, job_id: str, lease_token: str) -> Job | None:
        holder = self._tables.holders.get(job_id)
        return self._tables.jobs[job_id] if holder is not None and holder.token == lease_token else None

    def save(self, job: Job, *, lease_token: str | None = None, release: bool = False) -> bool:
        if self._tables.jobs[job.job_id].version != job.version:
            return False
        if lease_token is not None and self.find_held(job.job_id, lease_token) is None:
            return False
        self._tables.jobs[job.job_id] = replace(job, version=job.version + 1)
        if release:
            self._tables.holders.pop(job.job_id, None)
        return True

    def due(self, now: datetime, limit: int) -> list[str]:
        found = [
            (job.next_look_at, job.job_id)
            for job in self._tables.jobs.values()
            if job.phase in WORKING | {Phase.QUEUED}
            and job.next_look_at is not None
            and job.next_look_at <= now
            and self._tables.is_free(job.job_id, now)
        ]
        return [job_id for _, job_id in sorted(found)][:limit]

    def claim(self, job_ids: Sequence[str], lease: Lease) -> list[Leased]:
        due = set(self.due(lease.now, len(self._tables.jobs)))
        return [self._hold(job_id, lease) for job_id in job_ids if job_id in due]

    def claim_in_line(self, job_ids: Sequence[str], lease: Lease) -> list[Leased]:
        jobs = self._tables.jobs
        return [
            self._hold(job_id, lease)
            for job_id in job_ids
            if is_in_line(jobs[job_id]) and self._tables.is_free(job_id, lease.now)
        ]

    def _hold(self, job_id: str, lease: Lease) -> Leased:
        holder = self._tables.holders[job_id] = Holder(lease.owner, self._tokens(), lease.until)
        return Leased(self._tables.jobs[job_id], holder.token)

    def make_due(self, job_ids: Sequence[str], now: datetime) -> None:
        for job_id in job_ids:
            job = self._tables.jobs.get(job_id)
            if job is not None and job.phase in WORKING:
                self._tables.jobs[job_id] = replace(job, next_look_at=now, version=job.version + 1)

    def release_all(self, owner: str) -> int:
        mine = [job_id for job_id, holder in self._tables.holders.items() if holder.owner == owner]
        for job_id in mine:
            del self._tables.holders[job_id]
        return len(mine)

    def phases(self, job_ids: Sequence[str]) -> dict[str, Phase]:
        return {job_id: self._tables.jobs[job_id].phase for job_id in job_ids if job_id in self._tables.jobs}

    def wake_dependents(self, job_id: str, now: datetime) -> None:
        for job in list(self._tables.jobs.values()):
            if job_id in job.terms.depends_on and job.is_waiting and job.is_held:
                self._tables.jobs[job.job_id] = replace(job, next_look_at=now, version=job.version + 1)

    def count_queued(self) -> int:
        return sum(job.is_waiting for job in self._tables.jobs.values())


class Waitlist:
    """`LineRepository` of one transaction, as far as the loops use it."""

    def __init__(self, tables: Tables, limits: Mapping[str, int]) -> None:
        self._tables = tables
        self._limits = limits

    def _waiting(self, service: str) -> list[Job]:
        return [job for job in self._tables.jobs.values() if job.worker == service and is_in_line(job)]

    def awaited(self, services: Sequence[str]) -> list[str]:
        return [service for service in services if self._waiting(service)]

    def look(self, service: str, now: datetime, depth: int) -> Line:
        heads: dict[Lane, list[Waiting]] = {}
        for job in sorted(self._waiting(service), key=lambda job: (job.turn, job.job_id)):
            if self._tables.is_free(job.job_id, now):
                heads.setdefault(lane_of(job), []).append(Waiting(job.turn, job.job_id))
        return Line({lane: waiting[:depth] for lane, waiting in heads.items()}, self._used(), self._limits)

    def _used(self) -> Counter[str]:
        at_work = (job for job in self._tables.jobs.values() if job.phase in WORKING)
        return Counter(group for job in at_work for group in lane_of(job).groups)

    def has_place(self, job: Job) -> bool:
        used = self._used()
        return all(used[group] < self._limits[group] for group in lane_of(job).groups if group in self._limits)


class Attempts:
    """`AttemptRepository` of one transaction."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.attempts

    def add(self, attempt: Attempt) -> None:
        require((attempt.job_id, attempt.number) not in self._rows, "an attempt is written down twice")
        self._rows[attempt.job_id, attempt.number] = attempt

    def end(self, job_id: str, number: int, report: ExitReport, ended_at: datetime) -> None:
        attempt = self._rows[job_id, number]
        if attempt.ended_at is None:
            self._rows[job_id, number] = replace(attempt, exit=report, ended_at=ended_at)

    def condemn(self, job_id: str, number: int, verdict: Failure) -> None:
        attempt = self._rows[job_id, number]
        if attempt.ended_at is None:
            self._rows[job_id, number] = replace(attempt, verdict=verdict)

    def find(self, job_id: str, number: int) -> Attempt | None:
        return self._rows.get((job_id, number))

    def of_job(self, job_id: str) -> list[Attempt]:
        return [attempt for key, attempt in sorted(self._rows.items()) if key[0] == job_id]


class History:
    """`HistoryRepository` of one transaction."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.history

    def add(self, entries: Sequence[HistoryEntry]) -> None:
        self._rows.extend(entries)

    def of_job(self, job_id: str) -> list[HistoryEntry]:
        return [entry for entry in self._rows if entry.job_id == job_id]


class Outbox:
    """`OutboxRepository` of one transaction."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.outbox

    def add(self, events: Sequence[OutboxEvent]) -> None:
        for event in events:
            require((event.topic, event.producer_seq) not in self._rows, "an event number is given twice")
            self._rows[event.topic, event.producer_seq] = Unsent(event, event.timestamp)

    def due_topics(self, now: datetime, limit: int) -> list[str]:
        due = {key[0] for key, row in self._rows.items() if row.sent_at is None and row.next_try_at <= now}
        return sorted(due)[:limit]

    def unsent(self, topics: Sequence[str], limit: int) -> list[OutboxEvent]:
        found = [row.event for key, row in sorted(self._rows.items()) if key[0] in topics and row.sent_at is None]
        return found[:limit]

    def _change(self, is_meant: Callable[[tuple[str, int], Unsent], bool], **changes: datetime | None) -> None:
        for key, row in self._rows.items():
            if is_meant(key, row):
                self._rows[key] = replace(row, **changes)  # type: ignore[arg-type]

    def mark_sent(self, topics: Sequence[str], through: int, now: datetime) -> None:
        self._change(lambda key, row: key[0] in topics and key[1] <= through and row.sent_at is None, sent_at=now)

    def reopen(self, topic: str, first_seq: int) -> None:
        self._change(lambda key, _: key[0] == topic and key[1] >= first_seq, sent_at=None)

    def postpone(self, topic: str, until: datetime) -> None:
        self._change(lambda key, row: key[0] == topic and row.sent_at is None, next_try_at=until)

    def told_incomplete(self, topic: str) -> set[int]:
        told = (row.event for key, row in self._rows.items() if key[0] == topic)
        return {event.attempt for event in told if event.event_type == ATTEMPT_LOG_INCOMPLETE}

    def put_before_last(self, topic: str, events: Sequence[OutboxEvent]) -> None:
        last = [key for key, row in self._rows.items() if key[0] == topic and row.event.after_drain and not row.sent_at]
        fresh = [event for event in events if event.attempt not in self.told_incomplete(topic)]
        if last and fresh:
            row = self._rows.pop(last[0])
            place = row.event.producer_seq
            self.add([replace(event, producer_seq=place + number) for number, event in enumerate(fresh)])
            self.add([replace(row.event, producer_seq=place + len(fresh))])


class Audit:
    """`AuditRepository` that nobody reads."""

    def add(self, change: Change) -> None:
        del change


class Workers:
    """`WorkerRepository` of a mesh in which no operator says anything."""

    def all(self) -> list[Ruling]:
        return []


class Transaction:
    """`UnitOfWork` over a snapshot; nothing simulated registers models or data sets."""

    def __init__(self, tables: Tables, tokens: Callable[[], str], limits: Mapping[str, int]) -> None:
        self.jobs = Jobs(tables, tokens)
        self.line = Waitlist(tables, limits)
        self.attempts = Attempts(tables)
        self.history = History(tables)
        self.outbox = Outbox(tables)
        self.workers = Workers()
        self.audit = Audit()


class Store:
    """`UnitsOfWork` that several replicas share."""

    def __init__(self, chance: Chance, on_end: Callable[[Attempt], None]) -> None:
        self._chance = chance
        self._on_end = on_end
        self.tables = Tables()
        self.limits = {group_of_project("default"): chance.rng.randint(1, 3)}

    def _token(self) -> str:
        return f"{self._chance.rng.getrandbits(64):016x}"

    def read(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` on what is committed."""
        if self._chance.strikes(self._chance.faults.commit_refused):
            raise Unavailable("the database does not answer")
        return work(Transaction(self.tables.copy(), self._token, self.limits))  # type: ignore[arg-type]

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` and commit; the commit may fail, be unheard, or be run again whole."""
        faults = self._chance.faults
        if self._chance.strikes(faults.commit_refused):
            raise Unavailable("the database does not answer")
        result = self._commit(work)
        if self._chance.strikes(faults.commit_repeated):
            result = self._commit(work)
        if self._chance.strikes(faults.commit_unheard):
            raise Unavailable("the database went away at the commit")
        return result

    def _commit(self, work: Callable[[UnitOfWork], T]) -> T:
        after = self.tables.copy()
        result = work(Transaction(after, self._token, self.limits))  # type: ignore[arg-type]
        check_commit(self.tables, after, min(self.limits.values()))
        for key, attempt in after.attempts.items():
            if attempt.exit is not None and self.tables.attempts[key].exit is None:
                self._on_end(attempt)
        self.tables = after
        return result
