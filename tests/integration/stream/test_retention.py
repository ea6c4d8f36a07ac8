"""What retention takes, what it leaves, and what whoever comes back is told, on each database."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from services.stream.fanout import Fanout
from services.stream.log import curve_rows
from services.stream.log.curves import CurveReader
from services.stream.log.retention import Due, find_due, write_policy
from services.stream.log.thinning import shorten
from services.stream.sweeper import Sweeper
from shared.contracts.events import Event
from shared.contracts.retention import RetentionPolicy
from shared.kit.clock import SystemClock
from shared.kit.errors import NotFound, ProducerSealed, Unavailable
from tests.integration.stream.client import new_job
from tests.integration.stream.logs import Book, figures, move, now, opened

KEYS = ("train_loss", "advanced_metrics.gradient_norm")


@pytest.fixture
def book(database_url: str) -> Iterator[Book]:
    """An empty log."""
    with opened(database_url) as database:
        yield Book(database)


def _policy(book: Book, project: str, action: str, after_days: int = 7) -> None:
    policy = RetentionPolicy.model_validate({"action": action, "after_days": after_days})
    book.log.write(partial(write_policy, project=project, policy=policy, now=now()))


class _Ahead(SystemClock):
    """The machine's clock, some days ahead."""

    def __init__(self, days: float) -> None:
        self._lead = timedelta(days=days)

    def now(self) -> datetime:
        return super().now() + self._lead


def _sweep(book: Book, days: float) -> int:
    """A sweep of somebody whose clock is `days` ahead."""
    return asyncio.run(Sweeper(book.log, _Ahead(days), 1).sweep())


def _is_consistent(events: list[Event], last_seq: int) -> bool:
    """Gapless to its end; from 1, or from `compacted` on, which says where it is."""
    seqs = [event.seq for event in events]
    begins = events[0]
    return seqs == list(range(seqs[0], last_seq + 1)) and (
        begins.seq == 1 or (begins.event_type == "compacted" and begins.data == {"through": begins.seq})
    )


def _drawn(book: Book, topic: str, count: int, after: int = -1, until: int = 10**9) -> dict[str, Any]:
    return CurveReader(book.log).draw(topic, KEYS, count, after, until).buckets


def test_a_log_is_kept_until_its_project_says_otherwise_and_time_has_come(book: Book) -> None:
    old, other = book.job(new_job(), "mine", 10), book.job(new_job(), "yours", 10)
    assert _sweep(book, days=10_000) == 0
    _policy(book, "mine", "delete", after_days=7)
    assert _sweep(book, days=6.9) == 0
    assert len(book.events(old)) == 13
    assert _sweep(book, days=7.1) == 1
    with pytest.raises(NotFound, match="deleted under its project's retention policy"):
        book.events(old)
    assert len(book.events(other)) == 13
    _policy(book, "yours", "keep", after_days=0)
    assert _sweep(book, days=7.1) == 0


@pytest.mark.parametrize("action", ["delete", "thin"])
def test_a_log_that_goes_on_is_never_touched(book: Book, action: str) -> None:
    live = book.job(new_job(), "p", 1_500, ends=False)
    nobodys = f"job:{new_job()}"
    book.append(nobodys, "x", [figures(1)])
    _policy(book, "p", action, after_days=0)
    before = [book.events(topic) for topic in (live, nobodys, "project:p")]
    assert _sweep(book, days=10_000) == 0
    for turn in (Due(live, "delete"), Due(live, "thin"), Due("project:p", "delete"), Due(nobodys, "thin")):
        list(shorten(book.log, turn, now() + timedelta(days=10_000)))
    assert [book.events(topic) for topic in (live, nobodys, "project:p")] == before
    book.append(live, "orchestrator", [move("succeeded", "p")])
    assert _sweep(book, days=1) == 1


def test_a_thinned_log_begins_with_compacted_and_ends_as_it_did(book: Book) -> None:
    topic = book.job(new_job(), "p", 2_500)
    whole = book.events(topic)
    _policy(book, "p", "thin")
    assert _sweep(book, days=8) == 1
    left = book.events(topic)
    assert [(event.seq, event.event_type) for event in left] == [(2_502, "compacted"), (2_503, "phase_changed")]
    assert left[0].data == {"through": 2_502}
    assert left[1] == whole[-1]
    for cursor, seqs in ((0, [2_502, 2_503]), (1_000, [2_502, 2_503]), (2_501, [2_502, 2_503]), (2_502, [2_503])):
        assert [event.seq for event in book.events(topic, cursor)] == seqs
    assert book.events(topic, 2_503) == []
    assert _sweep(book, days=8) == 0


def test_figures_of_a_thinned_log_still_draw_as_before(book: Book) -> None:
    job = new_job()
    topic = book.job(job, "p", 0, ends=False)
    book.append(topic, "a", [figures(step) for step in range(0, 3_000, 3)])
    book.append(topic, "b", [figures(step, attempt=2, val_loss=step / 2) for step in range(1_500, 2_100, 3)])
    book.append(topic, "b", [figures(1_800, attempt=2, train_loss=None, note="x" * 50, ok=True)])
    book.append(topic, "orchestrator", [move("failed", "p")])
    points = book.reader.history(job, -1, 10**9, 10_000)
    drawn = [_drawn(book, topic, count) for count in (1, 500, 5_000)]
    cut = _drawn(book, topic, 10, 301, 2_399)
    current = book.reader.current(job)
    _policy(book, "p", "thin")
    assert _sweep(book, days=8) == 1
    assert [_drawn(book, topic, count) for count in (1, 500, 5_000)] == drawn
    assert sum(bucket.points for bucket in _drawn(book, topic, 10, 301, 2_399)["train_loss"]) == sum(
        bucket.points for bucket in cut["train_loss"]
    )
    assert book.reader.current(job) == current
    left = book.reader.history(job, -1, 10**9, 10_000)
    assert [event.data["step"] for event in left.data] == [event.data["step"] for event in points.data]
    for after, before in zip(left.data, points.data, strict=True):
        kept = {key: value for key, value in before.data.items() if key not in {"note", "ok"} and value is not None}
        assert after.data == kept
    page = book.reader.history(job, 1_499, 1_520, 5, ("val_loss",))
    assert [event.data for event in page.data] == [
        {"step": step, "val_loss": step / 2} for step in (1_500, 1_503, 1_506, 1_509, 1_512)
    ]
    assert page.has_more


def test_a_long_run_is_thinned_to_its_extremes(book: Book) -> None:
    topic = book.job(new_job(), "p", 0, ends=False)
    book.append(topic, "a", [figures(step, train_loss=float((step * 7919) % 10_007)) for step in range(0, 90_000, 40)])
    book.append(topic, "orchestrator", [move("failed", "p")])
    before = _drawn(book, topic, 10)
    _policy(book, "p", "thin")
    _sweep(book, days=8)
    after = _drawn(book, topic, 10)
    for key in KEYS:
        assert sum(bucket.points for bucket in after[key]) == sum(bucket.points for bucket in before[key]) == 2_250
        assert min(bucket.low for bucket in after[key]) == min(bucket.low for bucket in before[key])
        assert max(bucket.high for bucket in after[key]) == max(bucket.high for bucket in before[key])
        assert len(after[key]) <= 10


def test_a_log_without_figures_is_thinned_as_well(book: Book) -> None:
    job = new_job()
    topic = book.job(job, "p", 0)
    _policy(book, "p", "thin")
    _sweep(book, days=8)
    assert [event.event_type for event in book.events(topic)] == ["compacted", "phase_changed"]
    assert book.reader.history(job, -1, 10**9, 10).data == []
    assert _drawn(book, topic, 10) == {}
    only_end = f"job:{new_job()}"
    book.append(only_end, "orchestrator", [move("stopped", "p")])
    assert _sweep(book, days=8) == 1
    assert [event.event_type for event in book.events(only_end)] == ["phase_changed"]


def test_a_thinned_log_knows_its_producers_and_a_deleted_one_refuses_them(book: Book) -> None:
    job = new_job()
    topic = book.job(job, "p", 20)
    _policy(book, "p", "thin")
    _sweep(book, days=8)
    book.append(topic, f"{job}.1", [figures(step) for step in range(20)], first_seq=1)
    assert isinstance(book.refusal(topic, f"{job}.1", [figures(20)], first_seq=21), ProducerSealed)
    _policy(book, "p", "delete")
    assert _sweep(book, days=8) == 1
    assert book.reader.mark(topic, f"{job}.1").accepted_through == 0
    for first_seq in (1, 5, 21):
        fault = book.refusal(topic, f"{job}.1", [figures(0)], first_seq=first_seq)
        assert isinstance(fault, ProducerSealed)
        assert fault.details == {"is_ended": True, "is_deleted": True}
    assert isinstance(book.refusal(topic, "orchestrator", [move("queued", "q")]), ProducerSealed)
    assert [event.data["to"] for event in book.events("project:p")] == ["queued", "running", "succeeded"]
    assert book.events("project:q") == []
    for look in (book.reader.current, partial(book.reader.history, after=-1, until=9, limit=9)):
        with pytest.raises(NotFound):
            look(job)
    with pytest.raises(NotFound):
        _drawn(book, topic, 10)


@pytest.mark.parametrize("action", ["delete", "thin"])
def test_a_sweep_that_dies_anywhere_leaves_a_whole_log_and_the_next_one_finishes(book: Book, action: str) -> None:
    _policy(book, "p", action, after_days=0)
    later = now() + timedelta(days=1)
    for lived in itertools.count(1):
        job = new_job()
        topic = book.job(job, "p", 2_100)
        whole = book.events(topic)
        drawn = _drawn(book, topic, 100)
        turns = shorten(book.log, Due(topic, "thin" if action == "thin" else "delete"), later)
        is_done = [turn for turn, _ in zip(range(lived), turns, strict=False)] != list(range(lived))
        turns.close()  # type: ignore[attr-defined]
        if action == "thin":
            left = book.events(topic)
            assert _is_consistent(left, len(whole))
            assert left[1:] == whole[left[0].seq :]
            assert _drawn(book, topic, 100) == drawn
        else:
            with pytest.raises(NotFound):
                book.events(topic)
        assert _sweep(book, days=1) == (0 if is_done else 1)
        assert book.log.read(partial(find_due, now=later, limit=10)) == []
        if is_done:
            return


def test_a_policy_withdrawn_meanwhile_stops_what_has_not_begun(book: Book) -> None:
    topic = book.job(new_job(), "p", 2_000)
    whole = book.events(topic)
    _policy(book, "p", "thin", after_days=0)
    turns = shorten(book.log, Due(topic, "thin"), now() + timedelta(days=1))
    next(turns)
    _policy(book, "p", "keep")
    assert len(list(turns)) < 10
    assert book.events(topic) == whole
    list(shorten(book.log, Due(topic, "delete"), now() + timedelta(days=1)))
    assert book.events(topic) == whole


@pytest.mark.parametrize("action", ["delete", "thin"])
def test_two_sweeps_at_once_do_no_harm(book: Book, action: str) -> None:
    topics = [book.job(new_job(), "p", 1_300) for _ in range(4)]
    whole = {topic: book.events(topic) for topic in topics}
    drawn = {topic: _drawn(book, topic, 50) for topic in topics}
    _policy(book, "p", action, after_days=0)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_sweep, book, 1) for _ in range(2)]:
            done.result()
    _sweep(book, days=1)
    for topic in topics:
        if action == "thin":
            assert [event.seq for event in book.events(topic)] == [len(whole[topic]) - 1, len(whole[topic])]
            assert _drawn(book, topic, 50) == drawn[topic]
        else:
            with pytest.raises(NotFound):
                book.events(topic)


def test_appends_beside_a_sweep_wait_for_a_slice_at_most(book: Book) -> None:
    for _ in range(6):
        book.job(new_job(), "p", 4_000)
    _policy(book, "p", "delete", after_days=0)
    live = f"job:{new_job()}"
    waits: list[float] = []
    is_over = threading.Event()

    def write() -> None:
        while not is_over.is_set():
            began = time.monotonic()
            book.append(live, "p", [figures(len(waits))])
            waits.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        began = time.monotonic()
        assert _sweep(book, days=1) == 6
        took = time.monotonic() - began
        is_over.set()
        writing.result()
    # Appends went through all along: none waited for the sweep, only for one of its forty transactions or so.
    assert len(waits) >= 10
    assert max(waits) < took / 3
    assert len(book.events(live)) == len(waits)


def test_who_derives_a_curve_while_events_go_writes_nothing_of_it(book: Book) -> None:
    topic = book.job(new_job(), "p", 0, ends=False)
    book.append(topic, "a", [figures(step) for step in range(0, 60_000, 20)])
    book.append(topic, "orchestrator", [move("failed", "p")])
    _policy(book, "p", "thin", after_days=0)
    turns = shorten(book.log, Due(topic, "thin"), now() + timedelta(days=1))
    while book.events(topic)[0].seq == 1:
        next(turns)
    drawn = _drawn(book, topic, 50)
    assert sum(bucket.points for bucket in drawn["train_loss"]) == 3_000
    task = curve_rows.Derivation(topic, KEYS, 64, 0)
    book.log.write(partial(curve_rows.begin, task=task))
    assert not book.log.write(partial(curve_rows.store, task=task, span=(0, 60_000), made={}))
    assert _drawn(book, topic, 50) == drawn


def test_a_listener_of_a_log_deleted_under_it_is_cut(book: Book) -> None:
    topic = book.job(new_job(), "p", 50)
    _policy(book, "p", "delete", after_days=0)

    async def scenario() -> None:
        fanout = Fanout(book.reader, 8, 10**6)
        place = await fanout.follow(topic, 0, lambda: None)
        await asyncio.to_thread(lambda: list(shorten(book.log, Due(topic, "delete"), now() + timedelta(days=1))))
        with pytest.raises(Unavailable):
            await place.chunk(1_000)

    asyncio.run(scenario())
