"""One in ten commits and calls is carried out and not heard: nothing is done twice, and nothing is lost."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.domain.ports import JobFilter
from shared.contracts.jobs import Phase
from tests.chaos.conftest import Chaos
from tests.chaos.orchestrator.replicas import BusyWorker, Chance, running, submit

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]


def test_what_was_done_and_not_heard_is_not_done_again(database_url: str, tmp_path: Path, chaos: Chaos) -> None:
    count = chaos.size(20, 1000)

    async def play() -> None:
        chance = Chance(chaos.random, loses_answers=True)
        worker = BusyWorker(chance, life_s=0.05)
        async with running(database_url, tmp_path / "data", chance, worker) as mesh:
            left, right = mesh.start(), mesh.start()
            asked = [submit((left, right)[number % 2].wiring, f"job {number}") for number in range(count)]
            made = await asyncio.gather(*asked)
            assert len(set(made)) == count, "two requests were answered with one job"
            await mesh.settle(made, within_s=900)
            jobs = mesh.units.read(lambda uow: uow.jobs.page(JobFilter(), None, count + 1))
            assert {job.job_id for job in jobs} == set(made), "a job that nobody was told of"
            print(f"{count} jobs; done and not heard: {dict(chance.lost)}")
            for job_id in made:
                assert mesh.assert_whole(job_id).phase is Phase.SUCCEEDED
                assert worker.runs[job_id] == 1
            assert all(chance.lost[what] for what in ("commit", "start", "look", "append", "seal"))

    asyncio.run(play())
