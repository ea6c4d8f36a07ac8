"""Seeded worlds in which processes die, freeze and are not heard: every promise about jobs holds in each."""

import os
from collections.abc import Awaitable, Iterator
from dataclasses import replace

import pytest
from loguru import logger

from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import TRANSITIONS
from orchestrator.domain.observations import Missing, Observation, Silent
from orchestrator.reconciler import act, observe
from shared.contracts.jobs import Phase
from shared.contracts.work import AttemptView
from tests.simulation.job_rows import Jobs
from tests.simulation.loop import run
from tests.simulation.world import World, simulate

FIRST = int(os.environ.get("IMTS_SIMULATION_FIRST", "0"))
SEEDS = int(os.environ.get("IMTS_SIMULATION_SEEDS", "2000"))
BATCH = 100
SEEDS_UNTIL_ALL = 1_500


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    for package in ("orchestrator", "shared"):
        logger.disable(package)
    yield
    for package in ("orchestrator", "shared"):
        logger.enable(package)


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BATCH))
def test_every_promise_holds_whatever_befalls(first: int) -> None:
    for seed in range(first, min(first + BATCH, FIRST + SEEDS)):
        try:
            run(simulate(seed))
        except Exception as fault:
            raise AssertionError(f"replay with: python -m tests.simulation {seed}") from fault


def _moves(world: World) -> list[tuple[str, Phase | None, Phase, str]]:
    return [(row.job_id, row.from_phase, row.to_phase, str(row.at)) for row in world.store.tables.history]


def test_a_seed_is_the_same_run_again() -> None:
    for seed in range(20):
        assert _moves(run(simulate(seed))) == _moves(run(simulate(seed)))


def test_the_worlds_see_every_transition() -> None:
    unseen = set(TRANSITIONS)
    seed = 0
    while unseen and seed < SEEDS_UNTIL_ALL:
        unseen -= {(before, after) for _, before, after, _ in _moves(run(simulate(seed)))}
        seed += 1
    assert not unseen


def test_a_start_that_comes_late_starts_nothing_that_was_given_up() -> None:
    run(simulate(31286))


def _run_some() -> None:
    for seed in range(300):
        run(simulate(seed))


def test_taking_silence_for_absence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = observe.hear

    async def hasty(answer: Awaitable[AttemptView], *, just_asked: bool = False) -> Observation:
        seen = await honest(answer, just_asked=just_asked)
        return Missing(just_asked) if isinstance(seen, Silent) else seen

    monkeypatch.setattr(observe, "hear", hasty)
    monkeypatch.setattr(act, "hear", hasty)
    with pytest.raises(AssertionError):
        _run_some()


def test_a_save_without_its_guards_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Jobs.save

    def careless(self: Jobs, job: Job, *, lease_token: str | None = None, release: bool = False) -> bool:
        del lease_token
        found = self.find(job.job_id)
        assert found is not None
        return honest(self, replace(job, version=found.version), release=release)

    monkeypatch.setattr(Jobs, "save", careless)
    with pytest.raises(AssertionError):
        _run_some()
