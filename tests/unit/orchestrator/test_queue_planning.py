"""Who starts next and where: in order, within bounds, leaving no usable room idle."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.queueing.lanes import Lane, Line, Waiting, parse_lane
from orchestrator.domain.queueing.placement import Offer, Room, choose, offer_of
from orchestrator.domain.queueing.planning import PATIENCE, Placement, in_order, plan, usable
from orchestrator.domain.queueing.turns import turn_of
from shared.contracts.work import Capacity, Resources
from tests.unit.orchestrator.jobs import NOW
from tests.unit.orchestrator.lines import a_line, an_offer, size, waits

ALPHA, BETA = Lane("alpha"), Lane("beta")
BIG = Lane("alpha", resources=size(gpus=4))
SMALL = Lane("alpha", resources=size(gpus=1))


def _started(line: Line, *offers: Offer) -> list[str]:
    return [placement.job_id for placement in plan(line, offers, NOW)]


def test_jobs_start_in_the_order_in_which_they_came() -> None:
    line = a_line({ALPHA: [waits("a1", 30), waits("a2", 10)], BETA: [waits("b1", 20)]})
    assert _started(line, an_offer(slots=2)) == ["a1", "b1"]


def test_a_step_of_priority_is_worth_ten_minutes() -> None:
    line = a_line({ALPHA: [waits("old", 601), waits("urgent", 0, priority=1), waits("young", 599)]})
    assert _started(line, an_offer(slots=3)) == ["old", "urgent", "young"]


def test_a_project_at_its_quota_lets_others_pass() -> None:
    line = a_line(
        {ALPHA: [waits("a1", 30), waits("a2", 20)], BETA: [waits("b1", 10)]}, {"project alpha": 1}, {"project alpha": 2}
    )
    assert _started(line, an_offer(slots=3)) == ["a1", "b1"]


def test_a_sweep_runs_as_many_at_once_as_it_was_told() -> None:
    sweep = Lane("alpha", sweep="swp-1")
    line = a_line({sweep: [waits("s1", 3), waits("s2", 2), waits("s3", 1)]}, limits={"sweep swp-1": 2})
    assert _started(line, an_offer(slots=9)) == ["s1", "s2"]


def test_small_jobs_use_room_that_is_too_small_for_the_first() -> None:
    line = a_line({BIG: [waits("big", 60)], SMALL: [waits("small", 10)]})
    assert _started(line, an_offer(slots=4, gpus=2, of_gpus=4)) == ["small"]


def test_a_big_job_that_was_passed_long_enough_has_a_worker_kept_free() -> None:
    patience = PATIENCE.total_seconds()
    line = a_line({BIG: [waits("big", patience)], SMALL: [waits("small", 10)]})
    assert _started(line, an_offer(slots=4, gpus=2, of_gpus=4)) == []
    other = an_offer("other", slots=4, gpus=1, of_gpus=4)
    assert plan(line, [an_offer(slots=4, gpus=2, of_gpus=4), other], NOW) == [Placement("small", SMALL, "other")]


def test_a_job_that_no_worker_could_ever_take_holds_nobody_up() -> None:
    line = a_line({BIG: [waits("big", 9999)], SMALL: [waits("small", 10)]})
    assert _started(line, an_offer(slots=4, gpus=2)) == ["small"]


def test_a_job_goes_back_to_the_worker_that_has_its_checkpoints() -> None:
    pinned = Lane("alpha", pin="left")
    line = a_line({pinned: [waits("mine", 9)], ALPHA: [waits("any", 1)]})
    left, right = an_offer("left"), an_offer("right", slots=3)
    assert [(one.job_id, one.worker) for one in plan(line, [left, right], NOW)] == [("mine", "left"), ("any", "right")]
    assert _started(line, Offer("left"), right) == ["any"]
    assert _started(line, right) == ["mine", "any"]


def test_jobs_without_gpus_leave_workers_with_gpus_alone() -> None:
    chosen = choose([an_offer("gpu", slots=8, gpus=8), an_offer("cpu", slots=1)], size())
    assert chosen is not None
    assert chosen.worker == "cpu"


def test_a_lane_survives_being_a_key() -> None:
    lane = Lane("a-project", "swp-1", "host:8001", Resources(slots=2, gpus=3, memory_gb=0.5))
    assert parse_lane(lane.key) == lane
    assert parse_lane(ALPHA.key) == ALPHA


lanes = st.builds(
    Lane, st.sampled_from(["alpha", "beta", "gamma"]), st.sampled_from([None, "swp-1"]),
    st.sampled_from([None, None, "w0", "gone"]), st.builds(size, st.integers(1, 3), st.integers(0, 3)),
)  # fmt: skip
waiting = st.builds(waits, st.uuids().map(str), st.integers(0, 3600), st.integers(-10, 10))
lines = st.builds(
    a_line,
    st.dictionaries(lanes, st.lists(waiting, min_size=1, max_size=5), max_size=8),
    st.dictionaries(st.sampled_from(["project alpha", "project beta", "sweep swp-1"]), st.integers(0, 4)),
    st.dictionaries(st.sampled_from(["project alpha", "project beta", "sweep swp-1"]), st.integers(0, 4)),
)
rooms = st.builds(Room, st.integers(0, 5), st.integers(0, 5))
offers = st.lists(rooms, max_size=4).map(
    lambda found: [Offer(f"w{n}", room, Room(5, 5)) for n, room in enumerate(found)]
)


def test_a_big_job_that_was_passed_long_enough_has_its_place_in_the_quota_kept_too() -> None:
    line = a_line(
        {BIG: [waits("big", PATIENCE.total_seconds())], ALPHA: [waits("small", 10)], BETA: [waits("other", 5)]},
        limits={"project alpha": 1},
    )
    offers = [an_offer(name, slots=1, gpus=0, of_gpus=4) for name in ("w0", "w1")]
    assert [one.job_id for one in plan(line, offers, NOW)] == ["other"]


def _left(offers: list[Offer], placed: list[Placement]) -> dict[str, Room]:
    room = {offer.worker: offer.room for offer in offers}
    for one in placed:
        room[one.worker] = room[one.worker].without(one.lane.resources)
    return room


@given(lines, offers)
def test_no_worker_is_promised_more_than_it_has(line: Line, offers: list[Offer]) -> None:
    assert all(
        min(room.slots, room.gpus, room.memory_gb) >= 0 for room in _left(offers, plan(line, offers, NOW)).values()
    )


@given(lines, offers)
def test_no_bound_is_ever_passed(line: Line, offers: list[Offer]) -> None:
    started = Counter(group for one in plan(line, offers, NOW) for group in one.lane.groups)
    for group, count in started.items():
        assert line.used.get(group, 0) + count <= line.limits.get(group, 10**6)


@given(lines, offers)
def test_room_that_fits_a_job_in_line_is_left_only_for_one_that_was_passed_too_long(
    line: Line, offers: list[Offer]
) -> None:
    placed = plan(line, offers, NOW)
    started = {one.job_id for one in placed}
    used = Counter(line.used)
    used.update(group for one in placed for group in one.lane.groups)
    room = _left(offers, placed)
    idle: set[str] = set()
    passed_too_long = False
    for job, lane in in_order(line):
        if job.job_id in started or line.full_group(lane, used) is not None:
            continue
        able = {offer.worker for offer in usable(lane, offers) if room[offer.worker].fits(lane.resources)}
        idle |= able
        if not able and NOW - job.turn >= PATIENCE and not passed_too_long:
            passed_too_long = True
            used.update(lane.groups)
    assert len(idle) <= (1 if passed_too_long else 0)


@given(lines, offers)
def test_within_a_lane_nobody_is_passed(line: Line, offers: list[Offer]) -> None:
    started = {one.job_id for one in plan(line, offers, NOW)}
    for jobs in line.heads.values():
        flags = [job.job_id in started for job in jobs]
        assert flags == sorted(flags, reverse=True)


@given(st.integers(-10, 10), st.integers(-10, 10), st.integers(0, 7200), st.integers(0, 7200), st.integers(0, 10**6))
def test_the_order_of_two_jobs_never_changes_while_they_age(p: int, q: int, s: int, t: int, later_s: int) -> None:
    def weight(priority: int, since_s: int, at_s: int) -> float:
        return priority + (at_s - since_s) / 600

    before = weight(p, s, 7200) - weight(q, t, 7200)
    after = weight(p, s, 7200 + later_s) - weight(q, t, 7200 + later_s)
    assert abs(before - after) < 1e-6
    first, second = turn_of(NOW + timedelta(seconds=s), p), turn_of(NOW + timedelta(seconds=t), q)
    assert (first < second) == (before > 1e-9) or abs(before) < 1e-9


class Machine:
    """Workers of 2 slots and 2 GPUs, on which every job runs for a minute; time goes in steps of a minute."""

    def __init__(self, workers: int, limits: dict[str, int]) -> None:
        self.workers = [f"w{number}" for number in range(workers)]
        self.limits = limits
        self.now = NOW
        self.waiting: dict[str, tuple[Waiting, Lane]] = {}
        self.running: list[Placement] = []
        self.waited: dict[str, float] = {}

    def submit(self, job_id: str, lane: Lane, priority: int) -> None:
        """A job comes in now."""
        self.waiting[job_id] = (Waiting(turn_of(self.now, priority), job_id), lane)

    def minute(self) -> None:
        """Whatever runs ends, whoever may start starts."""
        heads: dict[Lane, list[Waiting]] = {}
        for job, lane in self.waiting.values():
            heads.setdefault(lane, []).append(job)
        offers = [Offer(name, Room(2, 2), Room(2, 2)) for name in self.workers]
        self.running = plan(a_line(heads, {}, self.limits), offers, self.now)
        for one in self.running:
            del self.waiting[one.job_id]
            self.waited[one.job_id] = self.now.timestamp()
        self.now += timedelta(minutes=1)


arrivals = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["alpha", "beta"]), st.integers(-10, 10), st.integers(1, 2), st.integers(0, 2)),
        max_size=4,
    ),
    min_size=1, max_size=20,
)  # fmt: skip


@given(arrivals, st.integers(1, 3), st.integers(1, 2))
def test_nobody_starves(minutes: list[list[tuple[str, int, int, int]]], workers: int, quota: int) -> None:
    """However jobs of all priorities and sizes keep coming, whoever is in line starts once they stop coming, and

    nothing submitted more than twenty head starts later was ever preferred: a flood of the highest priority holds
    the lowest up for 200 minutes at most."""
    machine = Machine(workers, {"project alpha": quota})
    for number, arriving in enumerate(minutes):
        for place, (project, priority, slots, gpus) in enumerate(arriving):
            machine.submit(f"{number:03}-{place}", Lane(project, resources=size(slots, gpus)), priority)
        machine.minute()
    left = len(machine.waiting)
    for _ in range(left):
        machine.minute()
    assert machine.waiting == {}


def test_a_flood_of_urgent_jobs_holds_the_least_urgent_up_for_a_bounded_time() -> None:
    machine = Machine(1, {})
    machine.submit("patient", Lane("alpha", resources=size(2)), priority=-10)
    minutes = 0
    while "patient" in machine.waiting:
        machine.submit(f"urgent-{minutes:04}", Lane("beta", resources=size(2)), priority=10)
        machine.minute()
        minutes += 1
        assert minutes <= 202
    assert minutes >= 200


def test_a_draining_worker_offers_nothing() -> None:
    assert offer_of("w", Capacity(slots=2, free=0, draining=True)) == Offer("w")
