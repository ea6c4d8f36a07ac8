"""What a claim reads of a queue does not grow with it, and no lane is lost or kept for nothing."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, text

from orchestrator.db.engine import MIGRATIONS
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.lanes import LaneRow
from orchestrator.db.unit_of_work import SqlUnitsOfWork
from orchestrator.domain.decisions import Move
from orchestrator.domain.queueing.lanes import Lane
from orchestrator.domain.queueing.placement import Offer, Room
from orchestrator.reconciler.leases import Leases
from orchestrator.reconciler.record import write_move
from shared.contracts.jobs import Phase
from shared.kit.clock import SystemClock
from shared.kit.sql import Database, open_engine
from tests.claimers import fill
from tests.databases import migrated

ROOM = Room(4, 4, 1.0)
OFFERS = [Offer("training", ROOM, ROOM)]
LANES = table_of(LaneRow)


@dataclass
class Meter:
    """Counts what one connection reads: rows and index entries on MySQL, steps of the machine on SQLite."""

    database: Database
    steps: int = field(default=0)

    def __post_init__(self) -> None:
        if self.database.is_sqlite:
            event.listen(self.database.engine, "connect", self._watch)

    def _watch(self, connection: Any, _: object) -> None:
        connection.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def read(self) -> int:
        """So far."""
        if self.database.is_sqlite:
            return self.steps
        with self.database.engine.connect() as connection:
            return sum(int(row[1]) for row in connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'")))


@contextmanager
def metered(url: str) -> Iterator[tuple[SqlUnitsOfWork, Meter]]:
    """Transactions over one connection whose reads are counted."""
    migrated(url, MIGRATIONS)
    database = Database(open_engine(url, 1))
    meter = Meter(database)
    yield SqlUnitsOfWork(database), meter
    database.close()


def test_a_claim_reads_as_much_of_a_long_queue_as_of_a_short_one(database_url: str) -> None:
    with metered(database_url) as (units, meter):
        leases = Leases(units, SystemClock(), "claimer", 60)

        def claim() -> int:
            before = meter.read()
            assert leases.claim_due(["training"]) == ([], ["training"])
            assert len(leases.claim_next("training", OFFERS, Counter())) == 4
            read = meter.read() - before
            leases.release_own()
            return read

        fill(units, 200)
        claim()
        short = claim()
        fill(units, 4_000)
        assert claim() <= short * 1.2


def test_counting_for_a_quota_stops_at_the_quota(database_url: str) -> None:
    with metered(database_url) as (units, meter):

        def count() -> int:
            before = meter.read()
            assert units.read(lambda uow: uow.line.count_of("project-0", 20)) == 20
            return meter.read() - before

        fill(units, 200)
        count()
        short = count()
        fill(units, 4_000)
        assert count() <= short * 1.2


@pytest.fixture
def units(database_url: str) -> Iterator[SqlUnitsOfWork]:
    with metered(database_url) as (units, _):
        yield units


def _lanes(units: SqlUnitsOfWork) -> int:
    return units._database.read(lambda session: session.scalar(select(func.count()).select_from(LANES)) or 0)


def _heads(units: SqlUnitsOfWork) -> list[Lane]:
    return list(units.read(lambda uow: uow.line.look("training", datetime.now(UTC), 1)).heads)


def _tidy(units: SqlUnitsOfWork) -> None:
    units.write(lambda uow: uow.line.tidy())


def _start_all(units: SqlUnitsOfWork) -> list[str]:
    leases = Leases(units, SystemClock(), "claimer", 60)
    started = []
    while taken := leases.claim_next("training", OFFERS, Counter()):
        for held, worker in taken:
            move = Move(Phase.STARTING, "a slot is free", {"placed_on": worker})
            units.write(lambda uow: write_move(uow, held, move, datetime.now(UTC)))  # noqa: B023
            started.append(held.job.job_id)
    return started


def test_a_lane_is_forgotten_once_it_is_empty(units: SqlUnitsOfWork) -> None:
    fill(units, 20)
    _tidy(units)
    assert _lanes(units) == 10
    assert len(_start_all(units)) == 20
    _tidy(units)
    assert _lanes(units) == 0


def test_a_job_that_stands_in_line_again_is_found_though_its_lane_was_forgotten(units: SqlUnitsOfWork) -> None:
    (job_id,) = fill(units, 1)
    _start_all(units)
    _tidy(units)
    job = units.read(lambda uow: uow.jobs.find(job_id))
    assert job is not None
    assert units.write(lambda uow: uow.jobs.save(replace(job, phase=Phase.QUEUED), release=True))
    assert [lane.project for lane in _heads(units)] == ["project-0"]


def test_what_an_older_version_put_in_line_is_found_by_the_tidying(units: SqlUnitsOfWork) -> None:
    fill(units, 5)
    units._database.write(lambda session: session.execute(delete(LANES)))
    assert _heads(units) == []
    _tidy(units)
    assert len(_heads(units)) == 5


def test_a_held_lane_waits_for_its_lease_and_is_not_forgotten(units: SqlUnitsOfWork) -> None:
    (job_id,) = fill(units, 1)
    Leases(units, SystemClock(), "claimer", 60).claim_next("training", OFFERS, Counter())
    assert _heads(units) == []
    _tidy(units)
    later = datetime.now(UTC) + timedelta(seconds=90)
    line = units.read(lambda uow: uow.line.look("training", later, 1))
    assert [one.job_id for waiting in line.heads.values() for one in waiting] == [job_id]
