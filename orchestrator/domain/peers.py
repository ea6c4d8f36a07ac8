"""The other services as the orchestrator sees them: workers by name, and the event log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.domain.workers import Roll, WorkerForgotten
from shared.contracts.commands import Command
from shared.contracts.events import AppendRequest, EventPage, ProducerMark
from shared.contracts.jobs import LogPage, PeerState
from shared.contracts.log_lines import LineQuery, LogLines
from shared.contracts.work import AttemptSpec, AttemptView, Capacity, Control
from shared.kit.errors import PeerUnavailable


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

    async def command(self, attempt_id: str, wanted: Command) -> AttemptView:
        """Write a command down for the attempt's engine; idempotent. Conflict when the attempt is over or ending."""
        ...

    async def log(self, attempt_id: str, offset: int, limit: int) -> LogPage: ...

    async def log_lines(self, attempt_id: str, query: LineQuery) -> LogLines: ...

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
