"""Why a job waits, and when no more may."""

import pytest

from orchestrator.domain.queueing import QueueGauge, WorkerBoard
from shared.contracts.work import Capacity
from shared.kit.errors import RateLimited
from tests.fakes.clock import FakeClock


def test_a_waiting_job_is_told_how_full_its_worker_is() -> None:
    board = WorkerBoard()
    assert board.explain("training") == "waiting for the training service"
    board.heard("training", Capacity(slots=2, free=0), 1.0)
    assert board.explain("training", 3) == "waiting for a free training slot: 2 of 2 in use; 3 jobs go first"
    board.heard("training", Capacity(slots=2, free=0, draining=True), 2.0)
    assert board.explain("training") == "waiting for the training service, which is draining"
    board.silent("training", 3.0)
    assert board.explain("training") == "waiting for the training service, which does not answer"


def test_the_queue_is_bounded() -> None:
    clock = FakeClock()
    gauge = QueueGauge(2, clock.monotonic)
    gauge.admit(lambda: 0)
    gauge.admit(lambda: 0)
    with pytest.raises(RateLimited) as refusal:
        gauge.admit(lambda: 2)
    assert (refusal.value.code, refusal.value.retry_after_s) == ("queue_full", 5)
    gauge.admit(lambda: 1)


def test_the_database_is_asked_at_most_once_a_second() -> None:
    clock = FakeClock()
    gauge = QueueGauge(100, clock.monotonic)
    counts: list[int] = []

    def count() -> int:
        counts.append(0)
        return 0

    for _ in range(10):
        gauge.admit(count)
    clock.advance(1.5)
    gauge.admit(count)
    assert len(counts) == 2
