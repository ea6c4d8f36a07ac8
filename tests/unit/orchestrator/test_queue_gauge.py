"""When no more jobs may wait, and how seldom the queue is counted for it."""

import pytest

from orchestrator.domain.queueing.gauge import QueueGauge
from shared.kit.errors import RateLimited
from tests.fakes.clock import FakeClock


class Count:
    """Counts how often it was asked."""

    def __init__(self, queued: int = 0) -> None:
        self.queued = queued
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        return self.queued


def test_the_queue_is_bounded() -> None:
    clock, count = FakeClock(), Count()
    gauge = QueueGauge(2, clock.monotonic)
    gauge.admit(count)
    gauge.admit(count)
    count.queued = 2
    clock.advance(1.5)
    with pytest.raises(RateLimited) as refusal:
        gauge.admit(count)
    assert (refusal.value.code, refusal.value.retry_after_s) == ("queue_full", 5)
    count.queued = 1
    clock.advance(1.5)
    gauge.admit(count)


def test_a_request_counts_only_the_first_time_and_when_it_would_be_refused() -> None:
    clock, count = FakeClock(), Count()
    gauge = QueueGauge(100, clock.monotonic)
    for _ in range(50):
        gauge.admit(count)
        clock.advance(10)
    assert count.asked == 1


def test_what_is_counted_in_the_background_counts() -> None:
    clock = FakeClock()
    gauge = QueueGauge(10, clock.monotonic)
    assert not gauge.is_due()
    gauge.admit(Count())
    clock.advance(1.5)
    assert gauge.is_due()
    gauge.refresh(Count(10))
    assert not gauge.is_due()
    with pytest.raises(RateLimited):
        gauge.admit(Count(10))


def test_jobs_admitted_while_the_queue_is_counted_are_not_forgotten() -> None:
    gauge = QueueGauge(3, FakeClock().monotonic)
    gauge.admit(Count())

    def count_slowly() -> int:
        gauge.admit(Count())
        gauge.admit(Count())
        return 1

    gauge.refresh(count_slowly)
    with pytest.raises(RateLimited):
        gauge.admit(Count(3))


def test_a_count_that_takes_long_is_made_less_often() -> None:
    clock = FakeClock()
    gauge = QueueGauge(1_000_000, clock.monotonic)

    def count_for(seconds: float) -> int:
        clock.advance(seconds)
        return 100_000

    gauge.admit(lambda: count_for(0.2))
    clock.advance(9)
    assert not gauge.is_due()
    clock.advance(2)
    assert gauge.is_due()
    gauge.refresh(lambda: count_for(0.001))
    gauge.admit(Count())
    clock.advance(1.5)
    assert gauge.is_due()
