"""The log's promises as pure decisions."""

from datetime import UTC, datetime

from services.stream.log.entries import Entry
from services.stream.log.numbering import Append, ProducerState, Taken, TopicState, seal, take
from shared.kit.errors import ProducerSealed, SequenceGap


def _run(first: int, count: int) -> Append:
    entry = Entry("log", None, None, datetime(2026, 1, 1, tzinfo=UTC), "{}", False, None)
    return Append("job:x", "p", first, (entry,) * count)


def _numbers(first: int, count: int, producer: ProducerState, topic: TopicState | None = None) -> list[int]:
    return _taken(take(topic or TopicState(), producer, _run(first, count)))


def _taken(taken: Taken) -> list[int]:
    return list(range(taken.first_number, taken.first_number + len(taken.entries)))


def test_the_first_run_begins_at_one() -> None:
    producer = ProducerState("p")
    assert _numbers(1, 3, producer) == [1, 2, 3]
    assert producer.mark.accepted_through == 3


def test_what_the_log_has_is_dropped_and_the_rest_taken() -> None:
    producer = ProducerState("p", accepted_through=3)
    assert _numbers(1, 3, producer) == []
    assert _numbers(2, 4, producer) == [4, 5]


def test_a_hole_takes_nothing_and_names_the_next_number() -> None:
    producer = ProducerState("p", accepted_through=3)
    taken = take(TopicState(), producer, _run(5, 2))
    assert isinstance(taken.fault, SequenceGap)
    assert taken.fault.details == {"expected": 4}
    assert producer.accepted_through == 3


def test_a_run_across_the_seal_is_taken_up_to_it() -> None:
    producer = ProducerState("p", accepted_through=3, sealed_at=5)
    taken = take(TopicState(), producer, _run(4, 4))
    assert _taken(taken) == [4, 5]
    assert isinstance(taken.fault, ProducerSealed)
    assert producer.mark.is_drained


def test_a_zombie_past_the_seal_is_told_so_even_when_it_skipped_numbers() -> None:
    assert isinstance(take(TopicState(), ProducerState("p", 3, 5), _run(9, 1)).fault, ProducerSealed)


def test_an_ended_topic_takes_nothing_new_but_knows_what_it_has() -> None:
    topic = TopicState(last_seq=4, is_ended=True)
    producer = ProducerState("p", accepted_through=3)
    assert take(topic, producer, _run(2, 2)).fault is None
    assert isinstance(take(topic, producer, _run(4, 1)).fault, ProducerSealed)
    assert producer.accepted_through == 3


def test_the_first_seal_stays_and_never_denies_what_the_log_has() -> None:
    producer = ProducerState("p", accepted_through=3)
    seal(producer, 1)
    assert producer.sealed_at == 3
    seal(producer, 9)
    assert producer.sealed_at == 3
