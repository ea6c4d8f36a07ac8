"""A stop races start, finish and a restart of the orchestrator: no job is lost, and its end is its end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.domain.audit import By
from orchestrator.operations.stop import stop_job
from orchestrator.reconciler.bells import Bells
from shared.contracts.jobs import Phase
from shared.kit.tasks import in_thread
from tests.chaos.conftest import Chaos
from tests.chaos.orchestrator.replicas import BusyWorker, Chance, Mesh, running, submit
from tests.waiting import become

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3000)]

PORTS = (8080, 8081)
PATIENCE_S = 120.0


class Race:
    """Rounds of four jobs, stopped from one moment of their lives each on; in each round one of two replicas dies."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.rng = mesh.chance.rng
        self.replicas = {port: mesh.start(port) for port in PORTS}
        self.made: list[str] = []
        self.stopped: set[str] = set()
        self.moments: list[Callable[[str], bool]] = [
            lambda _: True,
            lambda job_id: any(job_id in asked for asked in mesh.worker.starts),
            lambda job_id: mesh.worker.runs[job_id] > 0,
            lambda job_id: mesh.worker.runs[job_id] > 0 and not any(job_id in alive for alive in mesh.worker.living),
        ]

    async def reach(self, moment: Callable[[str], bool], job_id: str) -> None:
        """Until this moment of the job's life, and a little longer; a stop may prevent it."""
        await become(lambda: moment(job_id) or job_id in self.stopped, PATIENCE_S)
        await asyncio.sleep(self.rng.choice((0.0, self.rng.uniform(0, 0.05))))

    async def stop_one(self, job_id: str, moment: Callable[[str], bool]) -> None:
        await self.reach(moment, job_id)
        by = By("me", self.mesh.onlooker.clock.now())
        await in_thread(stop_job, self.mesh.units, Bells(), job_id, None, by)
        self.stopped.add(job_id)

    async def restart_one(self, job_id: str) -> None:
        port = self.rng.choice(PORTS)
        await self.reach(self.rng.choice(self.moments), job_id)
        await self.mesh.abandon(self.replicas[port])
        # Under its old name it takes back what it had; under a new one the lease has to run out.
        self.replicas[port] = self.mesh.start(port if self.rng.random() < 0.7 else 0)

    async def round(self) -> None:
        """Four jobs and one death."""
        numbers = range(len(self.made), len(self.made) + len(self.moments))
        made = await asyncio.gather(*(submit(self.mesh.onlooker, f"job {number}") for number in numbers))
        self.made += made
        stops = [self.stop_one(job_id, moment) for job_id, moment in zip(made, self.moments, strict=True)]
        await asyncio.gather(self.restart_one(self.rng.choice(made)), *stops)


def test_a_stop_that_races_start_finish_and_a_restart_ends_the_job_once(
    database_url: str, tmp_path: Path, chaos: Chaos
) -> None:
    rounds = chaos.size(5, 250)

    async def play() -> None:
        chance = Chance(chaos.random, latency_s=0.01)
        worker = BusyWorker(chance, life_s=0.2)
        async with running(database_url, tmp_path / "data", chance, worker) as mesh:
            race = Race(mesh)
            for _ in range(rounds):
                await race.round()
            await mesh.settle(race.made, PATIENCE_S)
            ends = [mesh.assert_whole(job_id).phase for job_id in race.made]
            print(f"{len(ends)} stops, {rounds} restarts:", {phase.value: ends.count(phase) for phase in set(ends)})
            assert set(ends) == {Phase.STOPPED, Phase.SUCCEEDED}
            assert not worker.living, "an attempt of a job that is over runs on"

    asyncio.run(play())
