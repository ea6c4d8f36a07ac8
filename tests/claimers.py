"""Many claimers on one queue, each claiming and starting jobs as a replica's reconciler does."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.db.engine import MIGRATIONS
from orchestrator.db.unit_of_work import SqlUnitsOfWork
from orchestrator.domain.decisions import Move
from orchestrator.domain.job import Inputs, Job, Leased, NewJob
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.domain.queueing.placement import Offer, Room
from orchestrator.domain.queueing.turns import turn_of
from orchestrator.reconciler.leases import Leases
from orchestrator.reconciler.record import write_move
from shared.contracts.jobs import Phase
from shared.contracts.scheduling import Scheduling
from shared.contracts.work import JobKind
from shared.kit.clock import SystemClock
from shared.kit.ids import new_id
from shared.kit.sql import Database, open_engine
from tests.databases import migrated

_CHUNK = 1000
LONG_LEASE_S = 600.0


@contextmanager
def units_on(url: str, connections: int = 16) -> Iterator[SqlUnitsOfWork]:
    """Transactions on a database with the newest schema."""
    migrated(url, MIGRATIONS)
    database = Database(open_engine(url, connections))
    yield SqlUnitsOfWork(database)
    database.close()


def fill(units: UnitsOfWork, count: int) -> list[str]:
    """Put jobs of five projects, three priorities and two sizes in line."""
    now = datetime.now(UTC)
    blank = Job(
        job_id="", kind=JobKind.TRAINING, worker="training", project="", spec={}, inputs=Inputs(),
        phase=Phase.QUEUED, why="waits", created_at=now, updated_at=now, turn=now,
    )  # fmt: skip
    made = []
    for number in range(count):
        terms = Scheduling(priority=number % 3 - 1, gpus=number % 2)
        since = now - timedelta(milliseconds=count - number)
        own: dict[str, Any] = {"job_id": new_id("job"), "project": f"project-{number % 5}", "terms": terms}
        made.append(replace(blank, turn=turn_of(since, terms.priority), **own))
    for start in range(0, count, _CHUNK):
        chunk = [NewJob(job, "nobody") for job in made[start : start + _CHUNK]]
        units.write(lambda uow: uow.jobs.add(chunk))  # noqa: B023
    return [job.job_id for job in made]


@dataclass(frozen=True)
class Race:
    """What came of it."""

    claimed: Counter[str]
    seconds: float
    claiming_s: list[float]
    """Of each call that claimed, by any of the claimers: look, plan, claim."""


def race(units: UnitsOfWork, claimers: int, batch: int = 8, within_s: float = math.inf) -> Race:
    """Let `claimers` claim and start jobs until none is left in line, or for so long."""
    room = Room(batch, batch, 1.0)
    offers = [Offer("training", room, room)]

    def start(held: Leased) -> None:
        move = Move(Phase.STARTING, "a slot is free", {"placed_on": "training"})
        units.write(lambda uow: write_move(uow, held, move, datetime.now(UTC)))

    def claim(number: int) -> list[str]:
        leases = Leases(units, SystemClock(), f"claimer-{number}", LONG_LEASE_S)
        mine: list[str] = []
        while time.perf_counter() - began < within_s and units.read(lambda uow: uow.line.awaited(["training"])):
            asked = time.perf_counter()
            taken = leases.claim_next("training", offers, Counter())
            claiming_s.append(time.perf_counter() - asked)
            for held, _ in taken:
                mine.append(held.job.job_id)
                start(held)
        return mine

    claiming_s: list[float] = []
    began = time.perf_counter()
    with ThreadPoolExecutor(claimers) as pool:
        claimed = Counter(job_id for mine in pool.map(claim, range(claimers)) for job_id in mine)
    return Race(claimed, time.perf_counter() - began, claiming_s)
