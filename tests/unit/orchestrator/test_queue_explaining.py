"""What a waiting job is told: the same facts and rules by which it will be started."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.job import Job
from orchestrator.domain.queueing.board import Standing, WorkerBoard
from orchestrator.domain.queueing.estimating import Finished, estimated_start, likeness_of, typical_s
from orchestrator.domain.queueing.explaining import Facts, explain
from orchestrator.domain.queueing.lanes import Lane, Line
from shared.contracts.jobs import Phase, WaitingFor
from shared.contracts.scheduling import Scheduling
from shared.contracts.work import Capacity
from tests.unit.orchestrator.jobs import NOW, a_job

OPEN = Line({}, {}, {})
MINE, OTHER = Lane("default"), Lane("other")


def _waiting(**changes: object) -> Job:
    return a_job(Phase.QUEUED, **{"attempt": 0, "why": "waits", **changes})


def _board(**capacities: Capacity | None) -> dict[str, Standing]:
    board = WorkerBoard()
    for name, capacity in capacities.items():
        if capacity is None:
            board.silent(name, 1.0)
        else:
            board.heard(name, capacity, 1.0)
    return {name: board.of(name) for name in capacities}


FULL = Capacity(slots=2, free=0)
DRAINING = Capacity(slots=2, free=0, draining=True)


@pytest.mark.parametrize(
    ("capacity", "waits_for", "why"),
    [
        (FULL, WaitingFor.SLOT, "waiting for a free training slot: 2 of 2 in use; 3 jobs go first"),
        (Capacity(slots=2, free=1), WaitingFor.TURN, "waiting for its turn on the training service; 3 jobs go first"),
        (DRAINING, WaitingFor.WORKER, "waiting for the training service, which is draining"),
        (None, WaitingFor.WORKER, "waiting for the training service, which does not answer"),
    ],
)  # fmt: skip
def test_a_job_is_told_what_its_worker_lacks(capacity: Capacity | None, waits_for: WaitingFor, why: str) -> None:
    told = explain(_waiting(), Facts(OPEN, _board(training=capacity), NOW, {MINE: 1, OTHER: 2}))
    assert (told.waiting_for, told.why, told.position) == (waits_for, why, 4)


def test_a_worker_that_was_never_asked_is_not_called_silent() -> None:
    told = explain(_waiting(), Facts(OPEN, {"training": Standing()}, NOW))
    assert (told.why, told.position) == ("waiting for the training service", None)


def test_jobs_held_by_a_quota_do_not_count_as_ahead() -> None:
    line = Line({}, {"project other": 1}, {"project other": 1})
    told = explain(_waiting(), Facts(line, _board(training=FULL), NOW, {MINE: 1, OTHER: 50}))
    assert told.position == 2


def test_a_job_held_by_its_quota_says_so() -> None:
    line = Line({}, {"project default": 2}, {"project default": 2})
    told = explain(_waiting(), Facts(line, _board(training=Capacity(slots=2, free=2)), NOW, {MINE: 1}, [], 60.0))
    assert told.waiting_for is WaitingFor.QUOTA
    assert told.why == "waiting for the quota of project default: 2 of its jobs are at work, 2 may be; 1 job goes first"
    assert told.estimated_start is None


def test_a_job_of_a_sweep_says_what_bounds_it() -> None:
    line = Line({}, {"sweep swp-1": 1}, {"sweep swp-1": 1})
    told = explain(_waiting(sweep="swp-1"), Facts(line, _board(training=FULL), NOW))
    assert told.waiting_for is WaitingFor.PARALLELISM


def test_a_job_that_is_too_big_says_for_what() -> None:
    job = _waiting(terms=Scheduling(gpus=2))
    small, busy = Capacity(slots=1, free=1, gpus=1, free_gpus=1), Capacity(slots=4, free=3, gpus=4, free_gpus=1)
    assert (
        explain(job, Facts(OPEN, _board(a=small), NOW)).why
        == "no worker of the training service has the gpus that it asks for"
    )
    told = explain(job, Facts(OPEN, _board(a=small, b=busy), NOW))
    assert (told.waiting_for, told.why) == (WaitingFor.RESOURCES, "waiting for free gpus on the training service")


def test_a_job_with_checkpoints_waits_for_the_worker_that_has_them() -> None:
    job = _waiting(attempt=1, current_step=5, placed_on="left")
    told = explain(job, Facts(OPEN, _board(left=None, right=Capacity(slots=1, free=1)), NOW))
    assert told.why == "waiting for worker left, which has its checkpoints and does not answer"


def test_a_job_between_two_attempts_keeps_its_own_words() -> None:
    told = explain(_waiting(is_held=True, why="retry 1 of 2 in 4 s"), Facts(OPEN, {}, NOW))
    assert (told.waiting_for, told.why) == (WaitingFor.DELAY, "retry 1 of 2 in 4 s")


def test_an_estimate_needs_three_finished_jobs() -> None:
    job = _waiting(spec={"modelName": "a"})
    other = [Finished((), 100.0)] * 3
    like = [Finished(likeness_of(job), seconds) for seconds in (10.0, 20.0, 60.0)]
    assert typical_s(job, other[:2]) is None
    assert typical_s(job, other + like[:2]) == 100.0
    assert typical_s(job, other + like) == 20.0


def test_a_job_starts_when_the_slots_before_it_have_turned_over() -> None:
    began = [NOW - timedelta(seconds=50), NOW - timedelta(seconds=20)]
    starts = [estimated_start(NOW, ahead, 0, began, 60.0) for ahead in range(4)]
    assert [None if at is None else (at - NOW).total_seconds() for at in starts] == [10, 40, 70, 100]
    assert estimated_start(NOW, 0, 1, began, 60.0) == NOW
    assert estimated_start(NOW, 0, 0, [], 60.0) is None
    assert estimated_start(NOW, 0, 1, began, None) is None


@given(st.integers(0, 30), st.integers(0, 3), st.lists(st.floats(0, 100), max_size=4), st.floats(1, 100))
def test_the_estimate_is_what_serving_one_by_one_would_give(
    ahead: int, free: int, ages: list[float], lasts_s: float
) -> None:
    began = [NOW - timedelta(seconds=age) for age in ages]
    told = estimated_start(NOW, ahead, free, began, lasts_s)
    slots = [0.0] * free + [max(lasts_s - age, 0.0) for age in ages]
    if not slots:
        assert told is None
        return
    for _ in range(ahead):
        first = min(slots)
        slots.remove(first)
        slots.append(first + lasts_s)
    assert told is not None
    assert (told - NOW).total_seconds() == pytest.approx(min(slots), abs=1e-3)


def test_an_estimate_is_given_with_the_position() -> None:
    facts = Facts(OPEN, _board(training=FULL), NOW, {MINE: 1}, [NOW, NOW], 30.0)
    assert explain(_waiting(), facts).estimated_start == NOW + timedelta(seconds=30)
