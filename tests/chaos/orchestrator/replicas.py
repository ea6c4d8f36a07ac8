"""Replicas of the real orchestrator's loops on a real database, beside a worker whose jobs end by themselves."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from orchestrator.db.engine import MIGRATIONS
from orchestrator.domain.job import Attempt, HistoryEntry, Job
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.submission import training_submission
from orchestrator.operations.requester import Requester
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import Wiring, build_wiring
from shared.contracts.events import AppendRequest, ProducerMark
from shared.contracts.jobs import TERMINAL
from shared.contracts.training import TrainingSpec
from shared.contracts.work import AttemptSpec, AttemptView, Control, Outcome
from shared.kit.errors import ImtsError, PeerUnavailable, Unavailable
from shared.kit.sql import Database
from shared.kit.tasks import end_tasks, in_thread, set_thread_limit, supervise
from tests.conftest import SERVICE_SECRET
from tests.databases import migrated
from tests.fakes.stream import FakeStream
from tests.fakes.worker import MADE_MODEL, FakeWorker
from tests.integration.orchestrator.mesh import TRAINING, register

LEASE_S = 1.1
_THREADS = 8
_AGAIN_S = 0.05
_SUBMISSION = training_submission(TrainingSpec.model_validate(TRAINING))


class Chance:
    """Seeded choices; one answer in ten is lost after what was asked for has been done, or none at all."""

    def __init__(self, rng: random.Random, *, loses_answers: bool = False, latency_s: float = 0.0) -> None:
        self.rng = rng
        self.lost: Counter[str] = Counter()
        self._loses_answers = loses_answers
        self._latency_s = latency_s
        self._decks: defaultdict[str, list[bool]] = defaultdict(list)
        self._turn = Lock()

    def loses(self, what: str) -> bool:
        """Whether nobody hears the answer to what was just done: once in each ten, so that every kind is struck."""
        with self._turn:
            if not self._decks[what]:
                self._decks[what] = self.rng.sample([True] + [False] * 9, 10)
            strikes = self._loses_answers and self._decks[what].pop()
            self.lost[what] += strikes
        return strikes

    async def breathe(self) -> None:
        """The wire takes a moment."""
        await asyncio.sleep(self.rng.uniform(0, self._latency_s))


class BusyWorker(FakeWorker):
    """Every attempt succeeds after a moment of at most `life_s`; every run is counted by its job."""

    def __init__(self, chance: Chance, life_s: float, slots: int = 16) -> None:
        super().__init__(slots=slots)
        self.runs: Counter[str] = Counter()
        self._chance = chance
        self._life_s = life_s

    def _accept(self, spec: AttemptSpec) -> None:
        super()._accept(spec)
        self.runs[spec.job_id] += 1
        delay = self._chance.rng.uniform(0, self._life_s)
        asyncio.get_running_loop().call_later(delay, self._succeed, spec.attempt_id)

    def _succeed(self, attempt_id: str) -> None:
        if self.views[attempt_id].exit is None:
            self.end(attempt_id, Outcome.SUCCEEDED, result=MADE_MODEL)

    async def start(self, spec: AttemptSpec) -> AttemptView:
        await self._chance.breathe()
        return await self._told("start", await super().start(spec))

    async def look(self, attempt_id: str) -> AttemptView:
        return await self._told("look", await super().look(attempt_id))

    async def control(self, attempt_id: str, wanted: Control) -> AttemptView:
        await self._chance.breathe()
        return await self._told("control", await super().control(attempt_id, wanted))

    async def _told(self, what: str, view: AttemptView) -> AttemptView:
        await self._chance.breathe()
        if self._chance.loses(what):
            raise PeerUnavailable(f"{self.name} did not answer")
        return view


class BusyStream(FakeStream):
    """The log; what it took may go unheard."""

    def __init__(self, chance: Chance) -> None:
        super().__init__()
        self._chance = chance

    async def append(self, topic: str, request: AppendRequest) -> ProducerMark:
        return self._told("append", await super().append(topic, request))

    async def seal(self, topic: str, producer: str, at: int) -> ProducerMark:
        return self._told("seal", await super().seal(topic, producer, at))

    def _told(self, what: str, mark: ProducerMark) -> ProducerMark:
        if self._chance.loses(what):
            raise PeerUnavailable("stream did not answer")
        return mark


async def submit(wiring: Wiring, key: str) -> str:
    """A training job; asked for again under its key until an answer arrives."""
    while True:
        with suppress(ImtsError, OperationalError):
            return (await wiring.intake.submit(_SUBMISSION, Requester("me", idempotency_key=key))).job.job_id


class Replica:
    """One orchestrator's loops, without its web server."""

    def __init__(self, wiring: Wiring, chance: Chance) -> None:
        self.wiring = wiring
        self._chance = chance
        self._is_dead = False
        self._hear_commits(wiring.database)
        loops = {"reconciler": wiring.reconciler.run, "outbox": wiring.relay.run}
        self._tasks = [asyncio.create_task(supervise(name, body, _AGAIN_S)) for name, body in loops.items()]

    def _hear_commits(self, database: Database) -> None:
        dialect = database.engine.dialect
        honest = dialect.do_commit
        fault = dialect.loaded_dbapi.OperationalError
        # The first of each is run again whole, the second told to the caller.
        told = (
            [("database is locked",), ("disk I/O error",)] if database.is_sqlite else [(2013, "lost"), (1180, "lost")]
        )

        def commit(connection: Any) -> None:
            if self._is_dead:
                raise Unavailable("nobody is left to commit")
            honest(connection)
            if self._chance.loses("commit"):
                raise fault(*self._chance.rng.choice(told))

        setattr(dialect, "do_commit", commit)  # noqa: B010 - its type wants a method

    async def abandon(self) -> None:
        """Sudden death: what it asked of a worker happens, what it was about to commit does not."""
        self._is_dead = True
        await self.end()

    async def end(self) -> None:
        """End its loops."""
        await end_tasks(self._tasks)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.wiring.database.close()


class Mesh:
    """A database, a worker, a log, and the replicas that come and go."""

    def __init__(self, url: str, folder: Path, chance: Chance, worker: BusyWorker) -> None:
        self.chance = chance
        self.worker = worker
        self.stream = BusyStream(chance)
        self._url = url
        self._folder = folder
        self.replicas: list[Replica] = []
        self.onlooker = self._wire(0)
        """A replica that takes requests and does nothing else."""
        self.units = self.onlooker.units
        register(self.units)

    def _wire(self, port: int) -> Wiring:
        settings = OrchestratorSettings(
            data_dir=self._folder, database_url=SecretStr(self._url), service_secret=SecretStr(SERVICE_SECRET),
            port=port, threads=_THREADS, look_interval_s=0.05, retry_backoff_s=0.02, drain_patience_s=0.3,
            lease_s=LEASE_S,
        )  # fmt: skip
        others = {name: FakeWorker(name) for name in ("analyzer", "evaluator")}
        return build_wiring(settings, Peers({"training": self.worker, **others}, self.stream))

    def start(self, port: int = 0) -> Replica:
        """A replica at work; the next one with the same port takes back what this one left claimed."""
        replica = Replica(self._wire(port), self.chance)
        self.replicas.append(replica)
        return replica

    async def abandon(self, replica: Replica) -> None:
        """This one dies."""
        self.replicas.remove(replica)
        await replica.abandon()

    async def settle(self, job_ids: list[str], within_s: float) -> None:
        """Wait until every job is over and all of its events are in the log."""

        def is_open(uow: UnitOfWork) -> bool:
            phases = uow.jobs.phases(job_ids)
            topics = [f"job:{job_id}" for job_id in job_ids]
            return not set(phases.values()) <= TERMINAL or bool(uow.outbox.unsent(topics, 1))

        async with asyncio.timeout(within_s):
            while await in_thread(self.units.read, is_open):  # noqa: ASYNC110 - replicas share a database, no event
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        """All that are left."""
        for replica in self.replicas:
            await replica.end()
        self.onlooker.database.close()

    def assert_whole(self, job_id: str) -> Job:
        """Each try has one row, each move one row and one event, nothing ran twice, and the end is the end."""

        def read(uow: UnitOfWork) -> tuple[Job | None, list[HistoryEntry], list[Attempt]]:
            return uow.jobs.find(job_id), list(uow.history.of_job(job_id)), list(uow.attempts.of_job(job_id))

        job, history, attempts = self.units.read(read)
        assert job is not None, "an accepted job is lost"
        moves = [entry.to_phase for entry in history]
        assert [entry.from_phase for entry in history] == [None, *moves[:-1]], "a move is missing, or told twice"
        assert [phase for phase in moves if phase in TERMINAL] == [job.phase], "a terminal phase was left"
        assert self.stream.phases(job_id) == moves, "the log does not tell the moves"
        assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
        assert self.worker.runs[job_id] <= 1, "a second run"
        asked = {name for name in self.worker.starts if name.startswith(f"{job_id}.")}
        assert asked <= {attempt.attempt_id for attempt in attempts}, "asked for before it was written down"
        return job


@asynccontextmanager
async def running(url: str, folder: Path, chance: Chance, worker: BusyWorker) -> AsyncIterator[Mesh]:
    """A mesh without replicas yet, on a new database."""
    migrated(url, MIGRATIONS)
    set_thread_limit(4 * _THREADS)
    mesh = Mesh(url, folder, chance, worker)
    try:
        yield mesh
    finally:
        await mesh.end()
