"""One transaction that takes a group of waiting writes into the log."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, tuple_, update
from sqlalchemy.orm import Session

from services.stream.log import figures, tables
from services.stream.log.entries import Entry, Record, job_of
from services.stream.log.inserting import EventRow, insert_events
from services.stream.log.numbering import Append, ProducerState, Seal, Taken, TopicState, Write, deleted, seal, take
from shared.contracts.events import ProducerMark, project_topic
from shared.kit.errors import ImtsError

_ProducerKey = tuple[str, str]

# Made once: to build and hash them took a quarter of a small commit's time.
_topic, _producer = tables.topics.c, tables.producers.c
_TOPICS = (
    select(_topic.topic, _topic.last_seq, _topic.is_ended, _topic.figures, _topic.project, _topic.state)
    .where(_topic.topic.in_(bindparam("names", expanding=True)))
    # Sorted, so that two replicas never wait for each other. SQLite has no FOR UPDATE and needs none: BEGIN IMMEDIATE.
    .order_by(_topic.topic).with_for_update()
)  # fmt: skip
_NEW_TOPICS = tables.insert_missing(tables.topics)
_MOVED_TOPICS = update(tables.topics).where(_topic.topic == bindparam("name"))
_PRODUCERS = select(tables.producers).where(
    tuple_(_producer.topic, _producer.producer).in_(bindparam("keys", expanding=True))
)
_NEW_PRODUCERS = insert(tables.producers)
_MOVED_PRODUCERS = update(tables.producers).where(
    _producer.topic == bindparam("of_topic"), _producer.producer == bindparam("named")
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one write."""

    mark: ProducerMark
    fault: ImtsError | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a group: an outcome a write, and the new records by topic, in order."""

    outcomes: tuple[Outcome, ...]
    records: Mapping[str, list[Record]]


@dataclass(slots=True)
class _Work:
    topics: dict[str, TopicState]
    producers: dict[_ProducerKey, ProducerState]
    rows: list[EventRow] = field(default_factory=list)
    records: dict[str, list[Record]] = field(default_factory=dict)


def apply(session: Session, writes: Sequence[Write]) -> Committed:
    """Decide and store `writes` in order; a refused write leaves the others alone."""
    work = _Work(_lock_topics(session, writes), _read_producers(session, writes))
    outcomes = tuple(_apply_one(work, write) for write in writes)
    _store(session, work)
    return Committed(outcomes, work.records)


def _select_locked(session: Session, names: Sequence[str]) -> dict[str, TopicState]:
    found = session.execute(_TOPICS, {"names": names})
    return {row.topic: _state_of(row) for row in found}


def _state_of(row: Any) -> TopicState:
    return TopicState(row.last_seq, row.is_ended, row.figures or {}, row.project, row.state in tables.GONE)


def _lock_topics(session: Session, writes: Sequence[Write]) -> dict[str, TopicState]:
    """Jobs first, then the projects that hear of them: `job:` sorts before `project:`, so this is one sorted order."""
    named = {write.topic for write in writes}
    jobs = {topic for topic in named if job_of(topic) is not None}
    found = _lock(session, jobs)
    told = {
        project
        for write in writes if isinstance(write, Append)
        for entry in write.entries if entry.news is not None
        for project in (found[write.topic].project, entry.project) if project is not None
    }  # fmt: skip
    return found | _lock(session, (named - jobs) | {project_topic(project) for project in told})


def _lock(session: Session, topics: Collection[str]) -> dict[str, TopicState]:
    if not topics:
        return {}
    names = sorted(topics)
    found = _select_locked(session, names)
    missing = [name for name in names if name not in found]
    if not missing:
        return found
    now = datetime.now(UTC)
    fresh = [{"topic": name, "last_seq": 0, "is_ended": False, "updated_at": now} for name in missing]
    session.execute(_NEW_TOPICS, fresh)
    return found | _select_locked(session, missing)


def _read_producers(session: Session, writes: Sequence[Write]) -> dict[_ProducerKey, ProducerState]:
    keys = sorted({(write.topic, write.producer) for write in writes})
    known = {
        (row.topic, row.producer): ProducerState(row.producer, row.accepted_through, row.sealed_at, is_new=False)
        for row in session.execute(_PRODUCERS, {"keys": keys})
    }
    return {key: known.get(key) or ProducerState(key[1]) for key in keys}


def _apply_one(work: _Work, write: Write) -> Outcome:
    producer = work.producers[write.topic, write.producer]
    if isinstance(write, Seal):
        if work.topics[write.topic].is_deleted:
            return Outcome(producer.mark, deleted())
        seal(producer, write.at)
        return Outcome(producer.mark)
    topic = work.topics[write.topic]
    taken = take(topic, producer, write)
    if taken.entries:
        _add(work, write.topic, write.producer, taken)
        topic.is_ended = topic.is_ended or taken.entries[-1].ends_topic
        topic.figures = figures.merge_all(topic.figures, taken.entries, topic.last_seq)
        _tell_project(work, write.topic, taken.entries)
    return Outcome(producer.mark, taken.fault)


def _add(work: _Work, name: str, producer: str, taken: Taken) -> None:
    """Give the events their topic's next numbers."""
    topic = work.topics[name]
    first_seq = topic.last_seq + 1
    topic.last_seq += len(taken.entries)
    ahead = first_seq - taken.first_number
    records = work.records.setdefault(name, [])
    for seq, entry in enumerate(taken.entries, first_seq):
        event_type, attempt, step, timestamp, data = entry[:5]
        work.rows.append((
            name, seq, event_type, attempt, step, timestamp.isoformat(" ", "microseconds")[:26], producer, seq - ahead,
            data,
        ))  # fmt: skip
        records.append(Record(name, seq, event_type, attempt, timestamp, data))


def _tell_project(work: _Work, name: str, entries: Sequence[Entry]) -> None:
    """The job is the producer of what its project hears, and the place in its log the number: once, as that is."""
    topic = work.topics[name]
    for seq, entry in enumerate(entries, topic.last_seq - len(entries) + 1):
        if entry.news is None:
            continue
        topic.project = topic.project or entry.project
        if topic.project is not None:
            told = Entry(entry.event_type, entry.attempt, None, entry.timestamp, entry.news, False, None)
            _add(work, project_topic(topic.project), job_of(name) or name, Taken(seq, (told,)))


def _store(session: Session, work: _Work) -> None:
    if work.rows:
        insert_events(session, work.rows)
        session.execute(_MOVED_TOPICS, [_topic_values(name, work.topics[name]) for name in work.records])
    known = [_producer_values(key, state) for key, state in work.producers.items() if not state.is_new]
    fresh = [
        {"topic": key[0], "producer": key[1], **_marks(state)}
        for key, state in work.producers.items()
        if state.is_new and (state.accepted_through or state.sealed_at is not None)
    ]
    if fresh:
        session.execute(_NEW_PRODUCERS, fresh)
    if known:
        session.execute(_MOVED_PRODUCERS, known)


def _topic_values(name: str, state: TopicState) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "name": name, "last_seq": state.last_seq, "is_ended": state.is_ended, "figures": state.figures or None,
        "project": state.project, "ended_at": now if state.is_ended else None, "updated_at": now,
    }  # fmt: skip


def _marks(state: ProducerState) -> dict[str, Any]:
    return {"accepted_through": state.accepted_through, "sealed_at": state.sealed_at}


def _producer_values(key: _ProducerKey, state: ProducerState) -> dict[str, Any]:
    return {"of_topic": key[0], "named": key[1], **_marks(state)}
