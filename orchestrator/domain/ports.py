"""What operations and the reconciler need from the outside, as protocols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from orchestrator.domain.access import KeyRepository
from orchestrator.domain.audit import AuditRepository
from orchestrator.domain.census import CensusRepository
from orchestrator.domain.dataset import DatasetRepository
from orchestrator.domain.deletion import DeletionRepository
from orchestrator.domain.idempotency import RequestRepository
from orchestrator.domain.job import Attempt, HistoryEntry, Job, Leased, NewJob
from orchestrator.domain.model import ModelRepository
from orchestrator.domain.outbox import OutboxRepository
from orchestrator.domain.queueing.lanes import Lane
from orchestrator.domain.queueing.repository import LineRepository
from orchestrator.domain.quota import QuotaRepository
from orchestrator.domain.sweep import SweepRepository
from orchestrator.domain.webhooks.delivery import DeliveryRepository
from orchestrator.domain.webhooks.webhook import WebhookRepository
from orchestrator.domain.workers import Roll, WorkerForgotten, WorkerRepository
from shared.contracts.events import AppendRequest, EventPage, ProducerMark
from shared.contracts.jobs import LogPage, PeerState, Phase
from shared.contracts.work import AttemptSpec, AttemptView, Capacity, Control, ExitReport, Failure, JobKind
from shared.kit.errors import PeerUnavailable

T = TypeVar("T")


class AlreadyThere(Exception):
    """A unique key is taken; the transaction is rolled back and the other row can be read in a new one."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows."""

    kind: JobKind | None = None
    phase: Phase | None = None
    project: str | None = None
    sweep: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who claims, from when and for how long."""

    owner: str
    now: datetime
    until: datetime


class JobRepository(Protocol):
    """Jobs; a save is guarded by the version that was read."""

    def add(self, jobs: Sequence[NewJob]) -> None:
        """AlreadyThere when a caller used one of the keys before."""
        ...

    def find(self, job_id: str) -> Job | None: ...

    def find_locked(self, job_id: str) -> Job | None:
        """Held against other writers until the transaction ends."""
        ...

    def find_held(self, job_id: str, lease_token: str) -> Job | None:
        """The job as it is now, if this lease still stands."""
        ...

    def save(self, job: Job, *, lease_token: str | None = None, release: bool = False) -> bool:
        """Write `job` as the version after `job.version`; False when someone else wrote first or holds the lease."""
        ...

    def save_all(self, jobs: Sequence[Job]) -> bool:
        """Likewise, for jobs that this transaction holds; what was written stays in it when the answer is False."""
        ...

    def page(self, wanted: JobFilter, before: str | None, limit: int) -> list[Job]:
        """Newest first, those with ids below `before`."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Jobs to look at whose time has come and that nobody holds; those in line are not among them."""
        ...

    def claim(self, job_ids: Sequence[str], lease: Lease) -> list[Leased]:
        """Take those of these jobs that are still due and that nobody holds."""
        ...

    def claim_in_line(self, service: str, wanted: Mapping[Lane, int], lease: Lease) -> Mapping[Lane, list[Leased]]:
        """Take so many of each lane: the first that nobody holds nor takes in this moment."""
        ...

    def make_due(self, job_ids: Sequence[str], now: datetime) -> None:
        """Have these working jobs looked at next; a look in progress starts over."""
        ...

    def release_all(self, owner: str) -> int:
        """Give back what an earlier process of this name left claimed."""
        ...

    def phases(self, job_ids: Sequence[str]) -> dict[str, Phase]:
        """Where these jobs are; those that do not exist are left out."""
        ...

    def wake_dependents(self, job_ids: Sequence[str], now: datetime) -> None:
        """Have the held jobs that depend on any of these looked at next."""
        ...

    def count_queued(self) -> int: ...


class AttemptRepository(Protocol):
    """Attempts, oldest first."""

    def add(self, attempt: Attempt) -> None: ...

    def end(self, job_id: str, number: int, report: ExitReport, ended_at: datetime) -> None:
        """Write down how an attempt ended; the first report stands."""
        ...

    def condemn(self, job_id: str, number: int, verdict: Failure) -> None:
        """Write down what a living attempt is ended for."""
        ...

    def find(self, job_id: str, number: int) -> Attempt | None: ...

    def of_job(self, job_id: str) -> list[Attempt]: ...


class HistoryRepository(Protocol):
    """Moves, oldest first."""

    def add(self, entries: Sequence[HistoryEntry]) -> None: ...

    def of_job(self, job_id: str) -> list[HistoryEntry]: ...


class UnitOfWork(Protocol):
    """One transaction: committed when the work that received it returns, rolled back when it raises."""

    @property
    def jobs(self) -> JobRepository: ...

    @property
    def line(self) -> LineRepository: ...

    @property
    def attempts(self) -> AttemptRepository: ...

    @property
    def history(self) -> HistoryRepository: ...

    @property
    def outbox(self) -> OutboxRepository: ...

    @property
    def datasets(self) -> DatasetRepository: ...

    @property
    def models(self) -> ModelRepository: ...

    @property
    def quotas(self) -> QuotaRepository: ...

    @property
    def requests(self) -> RequestRepository: ...

    @property
    def sweeps(self) -> SweepRepository: ...

    @property
    def audit(self) -> AuditRepository: ...

    @property
    def workers(self) -> WorkerRepository: ...

    @property
    def deletions(self) -> DeletionRepository: ...

    @property
    def keys(self) -> KeyRepository: ...

    @property
    def census(self) -> CensusRepository: ...

    @property
    def webhooks(self) -> WebhookRepository: ...

    @property
    def deliveries(self) -> DeliveryRepository: ...


class UnitsOfWork(Protocol):
    """Where transactions come from. Blocking: async code calls it by `kit.tasks.in_thread`."""

    def read(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a transaction that is rolled back."""
        ...

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` and commit. It runs again whole when the database asks for it: no side effects inside."""
        ...


class Peer(Protocol):
    """Another service of the mesh."""

    async def state(self) -> PeerState:
        """Whether it is ready; never raises."""
        ...


class WorkerPeer(Peer, Protocol):
    """A service that runs attempts; every call may raise PeerUnavailable, which says nothing about the attempt."""

    async def start(self, spec: AttemptSpec) -> AttemptView: ...

    async def look(self, attempt_id: str) -> AttemptView:
        """NotFound when the worker never had this attempt, or lost it with its disk."""
        ...

    async def control(self, attempt_id: str, wanted: Control) -> AttemptView: ...

    async def log(self, attempt_id: str, offset: int, limit: int) -> LogPage: ...

    async def capacity(self) -> Capacity: ...

    async def remove(self, attempt_id: str) -> None:
        """Delete what it left; idempotent. Conflict while it lives or its log is not all told."""
        ...


class StreamPeer(Peer, Protocol):
    """The event log."""

    async def append(self, topic: str, request: AppendRequest) -> ProducerMark: ...

    async def seal(self, topic: str, producer: str, at: int) -> ProducerMark:
        """Idempotent; the first seal stands."""
        ...

    async def events(self, topic: str, after: int, limit: int) -> EventPage: ...

    async def remove(self, topic: str) -> None:
        """Delete the log for good; idempotent. Nothing is appended to it any more."""
        ...


@dataclass(frozen=True, slots=True)
class Peers:
    """The mesh: workers by name, and the stream."""

    workers: Mapping[str, WorkerPeer]
    stream: StreamPeer
    pools: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of the workers of each service; one that is not listed has a single worker of its own name."""
    roll: Roll = field(default_factory=Roll)
    """What operators said about workers."""

    def of_service(self, service: str) -> dict[str, WorkerPeer]:
        """The workers of a service that are not forgotten, by name."""
        names = self.roll.without_forgotten(self.pools.get(service, [service]))
        return {name: self.workers[name] for name in names}

    @property
    def services(self) -> list[str]:
        """Every service that runs jobs."""
        pooled = {name for names in self.pools.values() for name in names}
        return sorted({*self.pools, *(name for name in self.workers if name not in pooled)})

    def at(self, worker: str) -> WorkerPeer:
        """The worker of this name; one that is not in the settings (any more) is silent, not empty.

        WorkerForgotten for one that an operator called gone for good.
        """
        if self.roll.is_forgotten(worker):
            raise WorkerForgotten(f"worker {worker} was forgotten by an operator; what it had is lost")
        if worker not in self.workers:
            raise PeerUnavailable(f"no worker is called {worker}: name its address in the settings, as in {worker}=URL")
        return self.workers[worker]

    def all(self) -> list[Peer]:
        """Every service but this one, forgotten workers left out."""
        return [*(self.workers[name] for name in self.roll.without_forgotten(self.workers)), self.stream]

    def service_of(self, worker: str) -> str | None:
        """The service that a worker is of; None for one that is in no settings."""
        pooled = (service for service, names in self.pools.items() if worker in names)
        return next(pooled, worker if worker in self.workers else None)


class Signals(Protocol):
    """Wakes background loops of this process; safe from any thread; losing one costs a second, never a job."""

    def job_changed(self, job_id: str) -> None:
        """Something about this job was committed."""
        ...

    def job_deleted(self) -> None:
        """Something was committed that workers and log still have to hear of."""
        ...

    def outbox_grew(self) -> None:
        """Events were committed."""
        ...
