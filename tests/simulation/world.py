"""Everything of one simulated run, the troubles that befall it, and the calm in which it must come right."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from orchestrator.domain.audit import By
from orchestrator.domain.job import Attempt, Inputs, Job, NewJob
from orchestrator.domain.job_machine import accepted
from orchestrator.domain.limits import queue_deadline
from orchestrator.domain.ports import AlreadyThere
from orchestrator.domain.recording import record_new
from orchestrator.operations.pause import pause_job
from orchestrator.operations.resume import resume_job
from orchestrator.operations.stop import stop_job
from shared.contracts.events import job_topic
from shared.contracts.jobs import TERMINAL, Phase
from shared.contracts.scheduling import Scheduling
from shared.contracts.work import JobKind
from shared.kit.errors import ImtsError
from shared.kit.tasks import in_thread
from tests.simulation.chance import Chance
from tests.simulation.invariants import begin, judge, require
from tests.simulation.loop import RUNNING_IN
from tests.simulation.replica import POOLS, Replica
from tests.simulation.store import Store
from tests.simulation.stream import SimulatedStream
from tests.simulation.worker import SimulatedWorker

_TROUBLED_S = 60.0
_PATIENCE_S = 600.0
_RELAY = "orchestrator"


class Bystander:
    """A process that never dies: users and workers."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    async def breathe(self) -> None:
        """Take a moment."""
        await asyncio.sleep(self._chance.pause_s())


class World:
    """Two replicas, two workers, the log, a few jobs and their users."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.store = Store(self.chance, self._check_has_ended)
        self.stream = SimulatedStream(self.chance)
        slots = self.chance.rng.randint(1, 2)
        self.workers = {
            name: SimulatedWorker(name, slots, self, self.chance, self.stream)
            for pool in POOLS.values()
            for name in pool
        }
        self.replicas = [Replica(owner, self, self.chance) for owner in ("first", "second")]
        self._dead: list[Replica] = []
        self._tasks: list[asyncio.Task[None]] = []

    def check_one_process_group(self, job_id: str) -> None:
        """Called whenever an attempt starts."""
        alive = [
            folder.spec.attempt_id
            for worker in self.workers.values()
            for folder in worker.living
            if folder.spec.job_id == job_id
        ]
        require(len(alive) <= 1, f"two live process groups: {alive}")

    def _check_has_ended(self, attempt: Attempt) -> None:
        alive = {folder.spec.attempt_id for worker in self.workers.values() for folder in worker.living}
        require(attempt.attempt_id not in alive, f"{attempt.attempt_id} is given up while it lives")

    def nudge(self, job_id: str) -> None:
        """A worker's hint, which may get lost."""
        if self.chance.rng.random() < 0.5:
            self.chance.rng.choice(self.replicas).reconciler.hints.add(job_id)

    async def run(self) -> None:
        """Trouble, then calm; raises when a promise is broken."""
        RUNNING_IN.set(Bystander(self.chance))
        for replica in self.replicas:
            replica.start()
        for worker in self.workers.values():
            self._spawn(worker.report())
        for number in range(self.chance.rng.choice((1, 2, 2, 3, 3, 6))):
            self._spawn(self._user(number))
        for trouble in (self._kill, self._freeze, self._stop_worker, self._stop_stream):
            self._spawn(self._now_and_then(trouble))
        await asyncio.sleep(_TROUBLED_S)
        self.chance.is_calm = True
        for task in self._tasks:
            if task.done():
                task.result()
        await self._come_right()
        self._check_logs()

    def _spawn(self, body: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(body))

    async def _now_and_then(self, trouble: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self.chance.rng.random() < 0.5:
            return
        while not self.chance.is_calm:
            await asyncio.sleep(self.chance.rng.expovariate(1 / 20))
            if not self.chance.is_calm:
                await trouble()

    async def _kill(self) -> None:
        place = self.chance.rng.randrange(len(self.replicas))
        self.replicas[place].kill()
        # Kept, so that no garbage collection wakes what hangs in it.
        self._dead.append(self.replicas[place])
        await asyncio.sleep(self.chance.rng.uniform(0, 15))
        owner = self.replicas[place].owner if self.chance.rng.random() < 0.7 else f"{self.replicas[place].owner}'"
        self.replicas[place] = Replica(owner, self, self.chance)
        self.replicas[place].start()

    async def _freeze(self) -> None:
        frozen = self.chance.rng.choice(self.replicas)
        frozen.freeze()
        await asyncio.sleep(self.chance.rng.uniform(0, 30))
        frozen.thaw()

    async def _stop_worker(self) -> None:
        worker = self.chance.rng.choice(list(self.workers.values()))
        worker.is_down = True
        how = self.chance.rng.random()
        if how < 0.3:
            worker.lose_processes()
        elif how < 0.4:
            worker.lose_disk()
        await asyncio.sleep(self.chance.rng.uniform(0, 15))
        worker.is_down = False

    async def _stop_stream(self) -> None:
        self.stream.is_down = True
        await asyncio.sleep(self.chance.rng.uniform(0, 15))
        self.stream.is_down = False

    async def _user(self, number: int) -> None:
        """Submits a job, and changes their mind about it."""
        rng = self.chance.rng
        await asyncio.sleep(rng.uniform(0, 20))
        kind = rng.choice((JobKind.ANALYSIS, JobKind.EVALUATION))
        worker = "analyzer" if kind is JobKind.ANALYSIS else "evaluator"
        job_id = f"job-{number:026d}"
        draft = Job(
            job_id=job_id, kind=kind, worker=worker, project="default", spec={}, inputs=Inputs(), phase=Phase.QUEUED,
            why="waits", created_at=self.replicas[0].clock.now(), updated_at=self.replicas[0].clock.now(),
            turn=self.replicas[0].clock.now(), max_retries=rng.randint(0, 2), terms=self._terms(),
        )  # fmt: skip
        look = draft.created_at if draft.terms.depends_on else queue_deadline(draft)
        draft = replace(draft, is_held=bool(draft.terms.depends_on), next_look_at=look)
        while job_id not in self.store.tables.jobs:
            first = accepted(replace(draft, why="waits"))
            with contextlib.suppress(ImtsError, AlreadyThere):
                await in_thread(
                    self.store.write,
                    lambda uow, first=first: record_new(uow, [(NewJob(first.job, "me"), first)]),
                )
        for _ in range(rng.randint(0, 4)):
            await asyncio.sleep(rng.expovariate(1 / 6))
            wish = rng.choices((stop_job, pause_job, resume_job), (1, 2, 3))[0]
            replica = rng.choice(self.replicas)
            with contextlib.suppress(ImtsError):
                await in_thread(wish, self.store, replica.bells, job_id, None, By("me", replica.clock.now()))

    def _terms(self) -> Scheduling:
        """Some jobs wait for others, and some will not wait or run for ever."""
        rng = self.chance.rng
        earlier = sorted(self.store.tables.jobs)
        return Scheduling(
            depends_on=[rng.choice(earlier)] if earlier and rng.random() < 0.3 else [],
            queue_timeout_s=rng.uniform(2, 40) if rng.random() < 0.2 else None,
            run_timeout_s=rng.uniform(2, 40) if rng.random() < 0.2 else None,
        )

    async def _come_right(self) -> None:
        """Everything is up and nobody interferes: every job ends, and every event arrives."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while not self._is_settled():
            await asyncio.sleep(5)
            for job in self.store.tables.jobs.values():
                if job.phase is Phase.PAUSED:
                    first = self.replicas[0]
                    await in_thread(resume_job, self.store, first.bells, job.job_id, None, By("me", first.clock.now()))
            assert asyncio.get_running_loop().time() < deadline, self._unsettled()

    def _is_settled(self) -> bool:
        return (
            all(task.done() for task in self._tasks[len(self.workers) :])
            and all(job.phase in TERMINAL for job in self.store.tables.jobs.values())
            and all(row.sent_at is not None for row in self.store.tables.outbox.values())
            and not any(worker.living for worker in self.workers.values())
        )

    def _unsettled(self) -> str:
        told = [f"{job.job_id} {job.phase}: {job.why}" for job in self.store.tables.jobs.values()]
        waiting = [key for key, row in self.store.tables.outbox.items() if row.sent_at is None]
        alive = [folder.spec.attempt_id for worker in self.workers.values() for folder in worker.living]
        marks = {topic: list(log.producers.values()) for topic, log in self.stream.topics.items()}
        return f"not settled: jobs {told}, unsent {waiting}, alive {alive}, log {marks}"

    def _check_logs(self) -> None:
        tables = self.store.tables
        for job_id, job in tables.jobs.items():
            lines = self.stream.topics[job_topic(job_id)].lines
            moves = [entry.to_phase for entry in tables.history if entry.job_id == job_id]
            told = [phase for producer, _, phase in lines if producer == _RELAY and phase]
            assert told == moves, f"the log tells {told}, the history {moves}"
            assert lines[-1][2] == job.phase, "the terminal event is not the last"
            for producer in {line[0] for line in lines}:
                numbers = [number for name, number, _ in lines if name == producer]
                assert numbers == list(range(1, len(numbers) + 1)), f"{producer} has a gap or a repeat: {numbers}"
            self._check_attempts(job_id, [line[0] for line in lines])

    def _check_attempts(self, job_id: str, producers: list[str]) -> None:
        for worker in self.workers.values():
            for attempt_id, folder in worker.folders.items():
                report = folder.exit
                if folder.spec.job_id != job_id or report is None or folder.is_sealed or folder.is_rerun:
                    continue
                found = producers.count(attempt_id)
                assert found == report.last_seq, f"the log has {found} of {report.last_seq} events of {attempt_id}"


async def simulate(seed: int) -> World:
    """One whole run."""
    begin()
    world = World(seed)
    try:
        await world.run()
    finally:
        judge()
    return world
