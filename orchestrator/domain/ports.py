"""What operations and the reconciler need from the outside, as protocols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from orchestrator.domain.workers import WorkerRepository
from shared.contracts.jobs import Phase
from shared.contracts.work import ExitReport, Failure, JobKind

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
    model_id: str | None = None
    """Of a version among their inputs."""


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
