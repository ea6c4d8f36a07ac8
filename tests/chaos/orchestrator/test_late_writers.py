"""A replica freezes past its leases, is replaced and thaws: the database refuses all that it still writes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import IO

import psutil
import pytest

from orchestrator.domain.decisions import Wait
from orchestrator.domain.job import Attempt, Job, Leased
from orchestrator.domain.ports import Lease, UnitOfWork, UnitsOfWork
from orchestrator.reconciler.record import write_wait
from shared.contracts.jobs import Phase
from shared.contracts.work import AttemptCause
from tests.chaos.conftest import Chaos
from tests.chaos.orchestrator.late_writer import LEASE, WRITES
from tests.claimers import fill, units_on
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def make_running(units: UnitsOfWork, count: int) -> list[str]:
    """Jobs at work whose look is due."""
    made = fill(units, count)
    now = datetime.now(UTC)

    def run(uow: UnitOfWork) -> None:
        for job_id in made:
            job = uow.jobs.find(job_id)
            assert job is not None
            assert uow.jobs.save(replace(job, phase=Phase.RUNNING, attempt=1, next_look_at=now))
            uow.attempts.add(Attempt(job_id, 1, AttemptCause.FIRST, now, "training"))

    units.write(run)
    return made


@contextmanager
def late_writer(url: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    command = [sys.executable, "-m", "tests.chaos.orchestrator.late_writer"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{url}\n")
        process.stdin.flush()
        yield process, process.stdin, process.stdout


def take_over(units: UnitsOfWork, made: list[str]) -> list[Job]:
    """Another replica claims every job once its lease has run out, and writes down what it saw."""
    claimed: list[Leased] = []

    def claim() -> bool:
        now = datetime.now(UTC)
        claimed.extend(units.write(lambda uow: uow.jobs.claim(made, Lease("quick", now, now + 60 * LEASE))))
        return len(claimed) == len(made)

    eventually(claim, within_s=30)
    now = datetime.now(UTC)
    return units.write(lambda uow: [write_wait(uow, held, Wait("fresh", 60.0), now) for held in claimed])


def told_of(uow: UnitOfWork, job_id: str) -> tuple[object, ...]:
    """The job, its moves, and what its attempt ended with and for."""
    (attempt,) = uow.attempts.of_job(job_id)
    return uow.jobs.find(job_id), list(uow.history.of_job(job_id)), (attempt.exit, attempt.verdict)


def test_all_that_a_frozen_replica_still_writes_is_refused(database_url: str, chaos: Chaos) -> None:
    count = chaos.size(10, 200)
    with units_on(database_url, 2) as units:
        made = make_running(units, count)
        with late_writer(database_url) as (process, words, answers):
            assert int(answers.readline()) == count
            process.send_signal(signal.SIGSTOP)
            eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            taken = take_over(units, made)
            process.send_signal(signal.SIGCONT)
            words.write("\n")
            words.flush()
            refused = int(answers.readline())
        print(f"{refused} of {count * len(WRITES)} late writes to {count} jobs refused")
        assert refused == count * len(WRITES)
        for job in taken:
            assert units.read(lambda uow, job_id=job.job_id: told_of(uow, job_id)) == (job, [], (None, None))  # type: ignore[misc]
