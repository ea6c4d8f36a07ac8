"""Jobs of a simulated database, and the line in which they wait."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.domain.job import Job, Leased, NewJob
from orchestrator.domain.job_machine import WORKING
from orchestrator.domain.ports import AlreadyThere, Lease
from orchestrator.domain.queueing.lanes import Lane, Line, Waiting, lane_of
from shared.contracts.jobs import Phase
from tests.simulation.tables import Holder, Tables


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

    def claim_in_line(self, service: str, wanted: Mapping[Lane, int], lease: Lease) -> Mapping[Lane, list[Leased]]:
        free = sorted(
            (job.turn, job.job_id, lane_of(job))
            for job in self._tables.jobs.values()
            if job.worker == service and is_in_line(job) and self._tables.is_free(job.job_id, lease.now)
        )
        firsts = {lane: [item[1] for item in free if item[2] == lane][:count] for lane, count in wanted.items()}
        return {lane: [self._hold(job_id, lease) for job_id in job_ids] for lane, job_ids in firsts.items()}

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

    def wake_dependents(self, job_ids: Sequence[str], now: datetime) -> None:
        for job in list(self._tables.jobs.values()):
            if set(job_ids) & set(job.terms.depends_on) and job.is_waiting and job.is_held:
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
