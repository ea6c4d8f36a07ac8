"""A worker service and the processes of its attempts, which outlive it or not, as on a host or in a container."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.contracts.commands import Command
from shared.contracts.events import AppendRequest, NewEvent, job_topic
from shared.contracts.failures import FailureClass
from shared.contracts.jobs import LogPage, PeerState
from shared.contracts.log_lines import LineQuery, LogLines
from shared.contracts.work import (
    AttemptSpec,
    AttemptState,
    AttemptView,
    Capacity,
    Control,
    ExitReport,
    Failure,
    Outcome,
    Progress,
)
from shared.kit.errors import Conflict, ImtsError, NotFound, PeerUnavailable, ProducerSealed, RateLimited
from tests.simulation.chance import Chance
from tests.simulation.loop import RUNNING_IN
from tests.simulation.stream import SimulatedStream

if TYPE_CHECKING:
    from tests.simulation.world import World

_CONTROLLED = {Control.STOP: Outcome.STOPPED, Control.PAUSE: Outcome.PAUSED, Control.PREEMPT: Outcome.PREEMPTED}
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Folder:
    """One attempt as its job directory tells of it."""

    spec: AttemptSpec
    written: int = 0
    reported: int = 0
    is_sealed: bool = False
    is_rerun: bool = False
    """Started again after its first folder, and the answer about it, were lost: the numbers begin anew."""
    wanted: Control | None = None
    exit: ExitReport | None = None
    process: "asyncio.Task[None] | None" = None

    @property
    def is_alive(self) -> bool:
        """Whether its processes run."""
        return self.exit is None and self.process is not None

    def end(self, outcome: Outcome, failure: Failure | None = None) -> None:
        """The processes are gone, and the shepherd says how."""
        if self.exit is None:
            self.exit = ExitReport(outcome=outcome, last_seq=self.written, ended_at=_MOMENT, failure=failure)


@dataclass(slots=True)
class SimulatedWorker:
    """`WorkerPeer`; a service that is down answers nobody and reports nothing, its processes run on."""

    name: str
    slots: int
    world: "World"
    chance: Chance
    stream: SimulatedStream
    folders: dict[str, Folder] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    is_down: bool = False

    async def _hear(self) -> None:
        await RUNNING_IN.get().breathe()
        if self.is_down or self.chance.strikes(self.chance.faults.request_lost):
            raise PeerUnavailable(f"{self.name} does not answer")

    async def _answer(self, folder: Folder) -> AttemptView:
        if self.is_down or self.chance.strikes(self.chance.faults.answer_lost):
            raise PeerUnavailable(f"the answer of {self.name} is lost")
        state = AttemptState.ENDED if folder.exit is not None else AttemptState.RUNNING
        progress = Progress(step=folder.written, total_steps=100)
        view = AttemptView(attempt_id=folder.spec.attempt_id, state=state, progress=progress, exit=folder.exit)
        await RUNNING_IN.get().breathe()
        return view

    async def state(self) -> PeerState:
        return PeerState(name=self.name, url="memory:", is_ready=not self.is_down, version="0")

    @property
    def living(self) -> list[Folder]:
        """Attempts whose processes run."""
        return [folder for folder in self.folders.values() if folder.is_alive]

    async def capacity(self) -> Capacity:
        await self._hear()
        return Capacity(slots=self.slots, free=max(self.slots - len(self.living), 0))

    async def start(self, spec: AttemptSpec) -> AttemptView:
        await self._hear()
        known = self.folders.get(spec.attempt_id)
        if known is None:
            self._admit(spec)
            is_rerun = self.stream.has_heard(spec.job_id, spec.attempt_id)
            known = self.folders[spec.attempt_id] = Folder(spec, is_rerun=is_rerun)
            known.process = asyncio.create_task(self._run(known))
            self.world.check_one_process_group(spec.job_id)
        elif known.spec != spec:
            raise Conflict("this attempt was given with another body", code="attempt_differs")
        return await self._answer(known)

    def _admit(self, spec: AttemptSpec) -> None:
        for other in self.folders.values():
            if other.spec.job_id == spec.job_id and other.spec.number > spec.number:
                raise Conflict("a newer attempt is known", code="attempt_superseded")
            if other.spec.job_id == spec.job_id and other.is_alive:
                raise Conflict("an older attempt lives", code="older_attempt_alive")
        if spec.attempt_id in self.refused or len(self.living) >= self.slots:
            self.refused.add(spec.attempt_id)
            raise RateLimited("no free slot", code="no_capacity")

    def _folder(self, attempt_id: str) -> Folder:
        if attempt_id not in self.folders:
            raise NotFound("no such attempt", code="attempt_not_found")
        return self.folders[attempt_id]

    async def look(self, attempt_id: str) -> AttemptView:
        await self._hear()
        return await self._answer(self._folder(attempt_id))

    async def control(self, attempt_id: str, wanted: Control) -> AttemptView:
        await self._hear()
        if attempt_id not in self.folders:
            self.refused.add(attempt_id)
        folder = self._folder(attempt_id)
        if folder.wanted is not Control.STOP:
            folder.wanted = wanted
        return await self._answer(folder)

    async def command(self, attempt_id: str, wanted: Command) -> AttemptView:
        raise NotImplementedError("no loop commands")

    async def log(self, attempt_id: str, offset: int, limit: int) -> LogPage:
        raise NotImplementedError("no loop reads output")

    async def log_lines(self, attempt_id: str, query: LineQuery) -> LogLines:
        raise NotImplementedError("no loop reads output")

    async def remove(self, attempt_id: str) -> None:
        raise NotImplementedError("nothing simulated deletes")

    async def _run(self, folder: Folder) -> None:
        """The engine: a few events, then one of the ways to end."""
        for _ in range(self.chance.rng.randint(1, 6)):
            await asyncio.sleep(self.chance.rng.uniform(0.05, 3.0))
            if folder.exit is not None:
                return
            if folder.wanted is not None:
                folder.end(_CONTROLLED[folder.wanted])
                break
            folder.written += 1
        else:
            self._end_by_itself(folder)
        self.world.nudge(folder.spec.job_id)

    def _end_by_itself(self, folder: Folder) -> None:
        if self.chance.is_calm or self.chance.rng.random() < 0.6:
            folder.end(Outcome.SUCCEEDED)
            return
        # Stopped and paused as well: somebody at the worker may have asked for it.
        by_itself = (Outcome.PREEMPTED, Outcome.WORKER_LOST, Outcome.STOPPED, Outcome.PAUSED)
        how = self.chance.rng.choice([*FailureClass, *by_itself])
        if isinstance(how, Outcome):
            folder.end(how)
        else:
            retryable = how is not FailureClass.USER and self.chance.rng.random() < 0.7
            folder.end(
                Outcome.FAILED, Failure(failure_class=how, reason="simulated", message="so", retryable=retryable)
            )

    def lose_processes(self) -> None:
        """As when a container is killed: nothing runs on, and the next start finds no exit report."""
        for folder in self.living:
            folder.end(Outcome.WORKER_LOST)

    def lose_disk(self) -> None:
        """Processes and folders are gone."""
        if all(folder.exit is None or folder.reported == folder.written for folder in self.folders.values()):
            self.lose_processes()
            self.folders.clear()

    async def report(self) -> None:
        """The reporter: for ever, what is written and not yet in the log."""
        while True:
            await asyncio.sleep(self.chance.rng.uniform(0.05, 0.5))
            for folder in list(self.folders.values()):
                if not self.is_down and not folder.is_sealed and folder.written > folder.reported:
                    await self._report(folder)

    async def _report(self, folder: Folder) -> None:
        number = folder.reported + 1
        event = NewEvent(event_type="metrics_update", timestamp=_MOMENT, attempt=folder.spec.number)
        request = AppendRequest(producer=folder.spec.attempt_id, first_seq=number, events=[event])
        try:
            mark = await self.stream.append(job_topic(folder.spec.job_id), request)
        except ProducerSealed:
            folder.is_sealed = True
            folder.end(Outcome.STOPPED)
        except ImtsError:
            return
        else:
            folder.reported = mark.accepted_through
