"""When spare pairs are started and used."""

from pathlib import Path

from shared.worker.pair import Pair
from shared.worker.spares import Spares
from tests.fakes.clock import FakeClock


class IdlePair(Pair):
    """A pair without processes."""

    def __init__(self, *, low_priority: bool) -> None:
        self.low_priority = low_priority
        self.visible: dict[str, str] = {}
        self.ready = self.gone = self.dismissed = False

    def is_ready(self) -> bool:
        return self.ready

    def is_gone(self) -> bool:
        return self.gone

    def dismiss(self, within_s: float = 5.0) -> None:
        self.dismissed = True


class Pool:
    """Spares over idle pairs and a clock that is moved by hand."""

    def __init__(self, size: int = 1) -> None:
        self.clock = FakeClock()
        self.started: list[IdlePair] = []
        self.spares = Spares(self._start, size, refill_s=20.0, clock=self.clock)

    def _start(self, low_priority: bool) -> Pair:
        self.started.append(IdlePair(low_priority=low_priority))
        return self.started[-1]

    def after(self, seconds: float, *, is_busy: bool) -> int:
        """Pairs started so far, after some time and one look."""
        self.clock.advance(seconds)
        self.spares.refill(is_busy=is_busy)
        return len(self.started)


def test_a_pool_of_none_starts_none() -> None:
    assert Pool(size=0).after(100, is_busy=False) == 0


def test_the_pool_is_filled_at_start_one_pair_a_look() -> None:
    pool = Pool(size=2)
    assert [pool.after(0, is_busy=False) for _ in range(3)] == [1, 2, 2]
    pool.started[0].ready = True
    assert pool.spares.ready() == 1


def test_a_used_spare_is_replaced_once_the_job_is_over() -> None:
    pool = Pool()
    pool.after(0, is_busy=False)
    assert pool.spares.take() is pool.started[0]
    assert pool.spares.take() is None
    assert pool.after(5, is_busy=True) == 1
    assert pool.after(0.1, is_busy=False) == 1, "the machine is left to the job's report"
    assert pool.after(0.5, is_busy=False) == 2
    assert not pool.started[1].low_priority


def test_a_used_spare_is_replaced_beside_a_long_job_with_low_priority() -> None:
    pool = Pool()
    pool.after(0, is_busy=False)
    pool.spares.take()
    assert pool.after(19, is_busy=True) == 1
    assert pool.after(1, is_busy=True) == 2
    assert pool.started[1].low_priority


def test_spares_that_die_are_replaced_ever_more_slowly() -> None:
    pool = Pool()
    assert pool.after(0, is_busy=False) == 1
    pool.started[0].gone = True
    assert pool.after(1, is_busy=False) == 1
    assert pool.after(5, is_busy=False) == 2
    pool.started[1].gone = True
    assert [pool.after(seconds, is_busy=False) for seconds in (1, 5, 5)] == [2, 2, 3]
    assert pool.spares.take() is pool.started[2]


def test_waiting_pairs_are_dismissed_at_the_end() -> None:
    pool = Pool()
    pool.after(0, is_busy=False)
    pool.spares.dismiss()
    assert pool.started[0].dismissed
    assert pool.spares.take() is None


def test_a_dead_service_socket_is_no_place_for_a_job(tmp_path: Path) -> None:
    pool = Pool()
    pool.after(0, is_busy=False)
    pool.started[0].gone = True
    assert pool.spares.take() is None


def test_a_spare_that_sees_other_devices_is_let_go_and_replaced() -> None:
    pool = Pool()
    pool.after(0, is_busy=False)
    pool.started[0].visible = {"CUDA_VISIBLE_DEVICES": "0"}
    assert pool.spares.take({"CUDA_VISIBLE_DEVICES": "1"}) is None
    assert pool.started[0].dismissed
    assert pool.after(1, is_busy=False) == 2
    pool.started[1].visible = {"CUDA_VISIBLE_DEVICES": "1"}
    assert pool.spares.take({"CUDA_VISIBLE_DEVICES": "1"}) is pool.started[1]
