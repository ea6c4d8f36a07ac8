"""The ring is always a gapless run, however it is fed."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.stream.frames import Frame, encode
from services.stream.log.entries import Record
from services.stream.ring import Ring, got, moved


def _frames(first: int, count: int, padding: int = 0) -> list[Frame]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    text = f'{{"a":"{"x" * padding}"}}'
    return [encode(Record("job:x", seq, "log", None, moment, text)) for seq in range(first, first + count)]


def _seqs(ring: Ring, after: int) -> list[int]:
    return [frame.seq for frame in ring.after(after)]


def test_it_answers_what_follows_a_cursor() -> None:
    ring = Ring(10, 10**6)
    ring.offer(_frames(1, 5))
    assert _seqs(ring, 0) == [1, 2, 3, 4, 5]
    assert _seqs(ring, 3) == [4, 5]
    assert _seqs(ring, 5) == []
    assert _seqs(ring, 99) == []
    size = len(ring.after(0)[0].sse)
    assert [frame.seq for frame in ring.after(0, max_bytes=2 * size)] == [1, 2]
    assert [frame.seq for frame in ring.after(0, max_bytes=1)] == [1]


def test_it_forgets_the_oldest_by_number_and_by_bytes() -> None:
    by_number = Ring(3, 10**6)
    by_number.offer(_frames(1, 5))
    assert _seqs(by_number, 2) == [3, 4, 5]
    assert _seqs(by_number, 1) == []
    by_bytes = Ring(100, 3_000)
    by_bytes.offer(_frames(1, 10, padding=1_000))
    assert _seqs(by_bytes, 8) == [9, 10]
    assert _seqs(by_bytes, 7) == []


def test_one_event_larger_than_the_bound_is_still_passed_on() -> None:
    ring = Ring(10, 100)
    ring.offer(_frames(1, 1, padding=1_000))
    assert _seqs(ring, 0) == [1]


def test_what_somebody_has_got_is_counted_by_events_and_not_by_numbers() -> None:
    frames = _frames(6, 3)
    size = len(frames[0].sse)
    assert [got(frames, moved((5, 0), frames, count)) for count in (0, size - 1, size, 3 * size)] == [0, 0, 1, 3]
    compacted = replace(frames[0], event_type="compacted")
    assert got([compacted], moved((0, 0), [compacted], size)) == 1


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 8)), max_size=20), st.integers(0, 40))
def test_whatever_is_offered_an_answer_joins_on_to_its_cursor(offers: list[tuple[int, int]], cursor: int) -> None:
    ring = Ring(6, 10**6)
    for first, count in offers:
        ring.offer(_frames(first, count))
    answer = _seqs(ring, cursor)
    assert answer == list(range(cursor + 1, cursor + 1 + len(answer)))


def test_compacted_stands_for_all_before_it() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ring = Ring.of([encode(Record("job:x", 7, "compacted", None, moment, '{"through":7}')), *_frames(8, 2)])
    assert [_seqs(ring, after) for after in (0, 3, 6)] == [[7, 8, 9]] * 3
    assert [_seqs(ring, after) for after in (7, 8, 9)] == [[8, 9], [9], []]
    assert ring.holds(1)
    assert not ring.holds(10)
