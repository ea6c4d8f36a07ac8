"""Retention that dies, changes its mind, or meets another sweep, writers, readers and listeners, on each database."""

import asyncio
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from services.stream.fanout import Fanout
from services.stream.log import curve_rows
from services.stream.log.retention import Due, find_due
from services.stream.log.thinning import shorten
from shared.contracts.events import Event
from shared.kit.errors import NotFound, Unavailable
from tests.integration.stream.client import new_job
from tests.integration.stream.logs import CURVES, Book, figures, move, now


def _is_consistent(events: list[Event], last_seq: int) -> bool:
    """Gapless to its end; from 1, or from `compacted` on, which says where it is."""
    seqs = [event.seq for event in events]
    begins = events[0]
    return seqs == list(range(seqs[0], last_seq + 1)) and (
        begins.seq == 1 or (begins.event_type == "compacted" and begins.data == {"through": begins.seq})
    )


@pytest.mark.parametrize("action", ["delete", "thin"])
def test_a_sweep_that_dies_anywhere_leaves_a_whole_log_and_the_next_one_finishes(book: Book, action: str) -> None:
    book.rule("p", action, after_days=0)
    later = now() + timedelta(days=1)
    for lived in itertools.count(1):
        job = new_job()
        topic = book.job(job, "p", 2_100)
        whole = book.events(topic)
        drawn = book.drawn(topic, 100)
        turns = shorten(book.log, Due(topic, "thin" if action == "thin" else "delete"), later)
        is_done = [turn for turn, _ in zip(range(lived), turns, strict=False)] != list(range(lived))
        turns.close()  # type: ignore[attr-defined]
        if action == "thin":
            left = book.events(topic)
            assert _is_consistent(left, len(whole))
            assert left[1:] == whole[left[0].seq :]
            assert book.drawn(topic, 100) == drawn
        else:
            with pytest.raises(NotFound):
                book.events(topic)
        assert book.sweep(days=1) == (0 if is_done else 1)
        assert book.log.read(partial(find_due, now=later, limit=10)) == []
        if is_done:
            return


def test_a_policy_withdrawn_meanwhile_stops_what_has_not_begun(book: Book) -> None:
    topic = book.job(new_job(), "p", 2_000)
    whole = book.events(topic)
    book.rule("p", "thin", after_days=0)
    turns = shorten(book.log, Due(topic, "thin"), now() + timedelta(days=1))
    next(turns)
    book.rule("p", "keep")
    assert len(list(turns)) < 10
    assert book.events(topic) == whole
    list(shorten(book.log, Due(topic, "delete"), now() + timedelta(days=1)))
    assert book.events(topic) == whole


@pytest.mark.parametrize("action", ["delete", "thin"])
def test_two_sweeps_at_once_do_no_harm(book: Book, action: str) -> None:
    topics = [book.job(new_job(), "p", 1_300) for _ in range(4)]
    whole = {topic: book.events(topic) for topic in topics}
    drawn = {topic: book.drawn(topic, 50) for topic in topics}
    book.rule("p", action, after_days=0)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(book.sweep, 1) for _ in range(2)]:
            done.result()
    book.sweep(days=1)
    for topic in topics:
        if action == "thin":
            assert [event.seq for event in book.events(topic)] == [len(whole[topic]) - 1, len(whole[topic])]
            assert book.drawn(topic, 50) == drawn[topic]
        else:
            with pytest.raises(NotFound):
                book.events(topic)


def test_appends_beside_a_sweep_wait_for_a_slice_at_most(book: Book) -> None:
    for _ in range(6):
        book.job(new_job(), "p", 4_000)
    book.rule("p", "delete", after_days=0)
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
        assert book.sweep(days=1) == 6
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
    book.rule("p", "thin", after_days=0)
    turns = shorten(book.log, Due(topic, "thin"), now() + timedelta(days=1))
    while book.events(topic)[0].seq == 1:
        next(turns)
    drawn = book.drawn(topic, 50)
    assert sum(bucket.points for bucket in drawn["train_loss"]) == 3_000
    task = curve_rows.Derivation(topic, CURVES, 64, 0)
    book.log.write(partial(curve_rows.begin, task=task))
    assert not book.log.write(partial(curve_rows.store, task=task, span=(0, 60_000), made={}))
    assert book.drawn(topic, 50) == drawn


def test_a_listener_of_a_log_deleted_under_it_is_cut(book: Book) -> None:
    topic = book.job(new_job(), "p", 50)
    book.rule("p", "delete", after_days=0)

    async def scenario() -> None:
        fanout = Fanout(book.reader, 8, 10**6)
        place = await fanout.follow(topic, 0, lambda: None)
        await asyncio.to_thread(lambda: list(shorten(book.log, Due(topic, "delete"), now() + timedelta(days=1))))
        with pytest.raises(Unavailable):
            await place.chunk(1_000)

    asyncio.run(scenario())
