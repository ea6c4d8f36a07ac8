"""Any order of claims, moves, wishes, crashes and clocks that are wrong, by two replicas on a real database."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select

from orchestrator.db.engine import MIGRATIONS
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.unit_of_work import SqlUnitsOfWork
from orchestrator.domain.audit import By
from orchestrator.domain.job import Inputs, Job, Leased, NewJob
from orchestrator.domain.job_machine import TRANSITIONS, WORKING, accepted, moved
from orchestrator.domain.ports import Lease, UnitOfWork, UnitsOfWork
from orchestrator.domain.queueing.lanes import Lane
from orchestrator.domain.recording import WriteLost, record_move, record_new
from orchestrator.operations.pause import pause_job
from orchestrator.operations.resume import resume_job
from orchestrator.operations.stop import stop_job
from orchestrator.reconciler.bells import Bells
from shared.contracts.jobs import TERMINAL, Phase
from shared.contracts.work import JobKind
from shared.kit.errors import Conflict
from shared.kit.migrations import migrate
from shared.kit.sql import Database, open_engine

SEQUENCES = int(os.environ.get("IMTS_LEASE_SEQUENCES", "60"))
LEASE = timedelta(seconds=10)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REPLICAS = ("first", "second")
_JOBS = table_of(JobRow).c
_LANE = Lane("default")

replicas = st.sampled_from(REPLICAS)
places = st.integers(0, 7)


@cache
def _empty_database() -> Path:
    """Migrated once; each sequence begins with a copy."""
    path = Path(tempfile.mkdtemp(prefix="imts-leases-")) / "empty.db"
    engine = open_engine(f"sqlite:///{path}", 1)
    migrate(engine, MIGRATIONS)
    engine.dispose()
    return path


class LeaseMachine(RuleBasedStateMachine):
    """The real repositories beside what must be true of them."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        path = Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "jobs.db"
        shutil.copy(_empty_database(), path)
        self.engine = open_engine(f"sqlite:///{path}", 2)
        self._stack.callback(self.engine.dispose)
        self.units = SqlUnitsOfWork(Database(self.engine))
        self.clocks = dict.fromkeys(REPLICAS, NOON)
        self.held: dict[str, list[Leased]] = {name: [] for name in REPLICAS}
        self.final: dict[str, Phase] = {}
        self.job_ids: list[str] = []

    def teardown(self) -> None:
        self._stack.close()

    def _tokens(self) -> dict[str, str | None]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(_JOBS.job_id, _JOBS.lease_token))
            return {row.job_id: row.lease_token for row in rows}

    def _find(self, job_id: str) -> Job:
        job = self.units.read(lambda uow: uow.jobs.find(job_id))
        assert job is not None, "a job is lost"
        return job

    @rule(kind=st.sampled_from((JobKind.ANALYSIS, JobKind.EVALUATION)))
    def submit(self, kind: JobKind) -> None:
        job_id = f"job-{len(self.job_ids):026d}"
        self.job_ids.append(job_id)
        draft = Job(
            job_id=job_id, kind=kind, worker="analyzer", project="default", spec={}, inputs=Inputs(),
            phase=Phase.QUEUED, why="waits", created_at=NOON, updated_at=NOON, turn=NOON,
        )  # fmt: skip
        first = accepted(draft)
        self.units.write(lambda uow: record_new(uow, [(NewJob(first.job, "me"), first)]))

    @rule(name=replicas, seconds=st.sampled_from((-3600, -30, 1, 5, 11, 30, 3600)))
    def move_a_clock(self, name: str, seconds: int) -> None:
        self.clocks[name] += timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from((1, 5, 11)))
    def let_time_pass(self, seconds: int) -> None:
        for name in REPLICAS:
            self.move_a_clock(name, seconds)

    def _lease(self, name: str) -> Lease:
        return Lease(name, self.clocks[name], self.clocks[name] + LEASE)

    def _claim(self, name: str, claim: Callable[[UnitOfWork], list[Leased]]) -> None:
        taken = self.units.write(claim)
        assert {held.job.phase for held in taken} <= WORKING | {Phase.QUEUED}, "what needs no look is claimed"
        assert len({held.job.job_id for held in taken}) == len(taken)
        self.held[name] += taken

    @rule(name=replicas)
    def claim_the_queue(self, name: str) -> None:
        self._claim(
            name, lambda uow: uow.jobs.claim_in_line("analyzer", {_LANE: len(self.job_ids)}, self._lease(name))[_LANE]
        )

    @rule(name=replicas)
    def claim_what_is_due(self, name: str) -> None:
        self._claim(name, lambda uow: uow.jobs.claim(uow.jobs.due(self.clocks[name], 64), self._lease(name)))

    @rule(name=replicas, place=places, to=st.sampled_from(list(Phase)))
    def write_a_move(self, name: str, place: int, to: Phase) -> None:
        """Of any job ever claimed, however long ago: a frozen replica thaws."""
        if not self.held[name]:
            return
        held = self.held[name][place % len(self.held[name])]
        if (held.job.phase, to) not in TRANSITIONS:
            return
        is_current = self._tokens()[held.job.job_id] == held.token and self._find(held.job.job_id) == held.job
        step = moved(held.job, to, "so", self.clocks[name])
        try:
            job = self.units.write(lambda uow: record_move(uow, step, held.token, release=to not in WORKING))
        except WriteLost:
            assert not is_current, "the holder's write is refused"
            return
        assert is_current, "a stale write is accepted"
        self.held[name][place % len(self.held[name])] = Leased(job, held.token)

    @rule(place=places)
    def hint(self, place: int) -> None:
        if self.job_ids:
            job_id = self.job_ids[place % len(self.job_ids)]
            self.units.write(lambda uow: uow.jobs.make_due([job_id], self.clocks["first"]))

    @rule(place=places, wish=st.sampled_from((stop_job, pause_job, resume_job)))
    def wish(self, place: int, wish: Callable[[UnitsOfWork, Bells, str, None, By], Job]) -> None:
        if self.job_ids:
            with suppress(Conflict):
                wish(self.units, Bells(), self.job_ids[place % len(self.job_ids)], None, By("me", self.clocks["first"]))

    @rule(name=replicas)
    def restart(self, name: str) -> None:
        """A new process under the same name; what the old one held stays in its memory, should it thaw."""
        self.units.write(lambda uow: uow.jobs.release_all(name))

    @invariant()
    def what_is_over_stays_as_it_is(self) -> None:
        for job_id in self.job_ids:
            job = self._find(job_id)
            assert self.final.get(job_id, job.phase) is job.phase, "a terminal phase is left"
            if job.phase in TERMINAL:
                self.final[job_id] = job.phase

    @invariant()
    def every_move_is_told_once(self) -> None:
        for job_id in self.job_ids:
            job = self._find(job_id)
            history = self.units.read(lambda uow, job_id=job_id: uow.history.of_job(job_id))  # type: ignore[misc]
            phases = [None, *(entry.to_phase for entry in history)]
            assert [entry.from_phase for entry in history] == phases[:-1]
            assert phases[-1] is job.phase
            events = self.units.read(lambda uow, job_id=job_id: uow.outbox.unsent([f"job:{job_id}"], 1000))  # type: ignore[misc]
            assert [event.producer_seq for event in events] == list(range(1, len(history) + 1))
            assert [event.data["to"] for event in events] == phases[1:]


TestLeases = LeaseMachine.TestCase
TestLeases.settings = settings(
    max_examples=SEQUENCES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck),
    # To shorten a failing sequence takes minutes; 25 steps can be read.
    phases=(Step.explicit, Step.reuse, Step.generate),
)  # fmt: skip
