"""One transaction that takes a group of waiting writes into the log."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, tuple_, update
from sqlalchemy.orm import Session

from services.stream.log import figures, tables
from services.stream.log.entries import Entry, Record, job_of
from services.stream.log.numbering import ProducerState, Seal, TopicState, Write, seal, take
from shared.contracts.events import ProducerMark, project_topic
from shared.kit.errors import ImtsError

_ProducerKey = tuple[str, str]


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
    rows: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, list[Record]] = field(default_factory=dict)


def apply(session: Session, writes: Sequence[Write]) -> Committed:
    """Decide and store `writes` in order; a refused write leaves the others alone."""
    work = _Work(_lock_topics(session, writes), _read_producers(session, writes))
    outcomes = tuple(_apply_one(work, write) for write in writes)
    _store(session, work)
    return Committed(outcomes, work.records)


def _select_locked(session: Session, names: Sequence[str]) -> dict[str, TopicState]:
    table = tables.topics
    query = select(table.c.topic, table.c.last_seq, table.c.is_ended, table.c.figures, table.c.project)
    # Sorted, so that two replicas never wait for each other. SQLite has no FOR UPDATE and needs none: BEGIN IMMEDIATE.
    found = session.execute(query.where(table.c.topic.in_(names)).order_by(table.c.topic).with_for_update())
    return {row.topic: TopicState(row.last_seq, row.is_ended, row.figures or {}, row.project) for row in found}


def _lock_topics(session: Session, writes: Sequence[Write]) -> dict[str, TopicState]:
    """Jobs first, then the projects that hear of them: `job:` sorts before `project:`, so this is one sorted order."""
    named = {write.topic for write in writes}
    jobs = {topic for topic in named if job_of(topic) is not None}
    found = _lock(session, jobs)
    told = {found[write.topic].project for write in writes if any(entry.news for entry in _entries(write))}
    told |= {entry.project for write in writes for entry in _entries(write)}
    projects = {project_topic(project) for project in told if project is not None}
    return found | _lock(session, (named - jobs) | projects)


def _entries(write: Write) -> tuple[Entry, ...]:
    return () if isinstance(write, Seal) else write.entries


def _lock(session: Session, topics: Collection[str]) -> dict[str, TopicState]:
    if not topics:
        return {}
    names = sorted(topics)
    found = _select_locked(session, names)
    missing = [name for name in names if name not in found]
    if not missing:
        return found
    fresh = insert(tables.topics).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
    now = datetime.now(UTC)
    session.execute(fresh, [{"topic": name, "last_seq": 0, "is_ended": False, "updated_at": now} for name in missing])
    return found | _select_locked(session, missing)


def _read_producers(session: Session, writes: Sequence[Write]) -> dict[_ProducerKey, ProducerState]:
    table = tables.producers
    keys = sorted({(write.topic, write.producer) for write in writes})
    query = select(table).where(tuple_(table.c.topic, table.c.producer).in_(keys))
    known = {
        (row.topic, row.producer): ProducerState(row.producer, row.accepted_through, row.sealed_at, is_new=False)
        for row in session.execute(query)
    }
    return {key: known.get(key) or ProducerState(key[1]) for key in keys}


def _apply_one(work: _Work, write: Write) -> Outcome:
    producer = work.producers[write.topic, write.producer]
    if isinstance(write, Seal):
        seal(producer, write.at)
        return Outcome(producer.mark)
    topic = work.topics[write.topic]
    taken = take(topic, producer, write)
    for number, entry in taken.entries:
        _add(work, write.topic, write.producer, number, entry)
        topic.is_ended = topic.is_ended or entry.ends_topic
        if entry.figures is not None:
            source = figures.Source(topic.last_seq, entry.attempt, entry.timestamp)
            topic.figures = figures.merge(topic.figures, entry.figures, source)
        if entry.news is not None:
            _tell_project(work, write.topic, topic, entry, entry.news)
    return Outcome(producer.mark, taken.fault)


def _add(work: _Work, name: str, producer: str, number: int, entry: Entry) -> None:
    """Give the event its topic's next number."""
    topic = work.topics[name]
    topic.last_seq += 1
    work.rows.append({
        "topic": name, "seq": topic.last_seq, "event_type": entry.event_type, "attempt": entry.attempt,
        "step": entry.step, "timestamp": entry.timestamp, "producer": producer, "producer_seq": number,
        "data": entry.data,
    })  # fmt: skip
    record = Record(name, topic.last_seq, entry.event_type, entry.attempt, entry.timestamp, entry.data)
    work.records.setdefault(name, []).append(record)


def _tell_project(work: _Work, name: str, topic: TopicState, entry: Entry, news: str) -> None:
    """The job is the producer of what its project hears, and the place in its log the number: once, as that is."""
    topic.project = topic.project or entry.project
    if topic.project is not None:
        told = replace(entry, data=news, step=None, ends_topic=False, figures=None, project=None, news=None)
        _add(work, project_topic(topic.project), job_of(name) or name, topic.last_seq, told)


def _store(session: Session, work: _Work) -> None:
    if work.rows:
        session.execute(insert(tables.events), work.rows)
        session.execute(
            update(tables.topics).where(tables.topics.c.topic == bindparam("name")),
            [_topic_values(name, work.topics[name]) for name in work.records],
        )
    known = [_producer_values(key, state) for key, state in work.producers.items() if not state.is_new]
    fresh = [
        {"topic": key[0], "producer": key[1], **_marks(state)}
        for key, state in work.producers.items()
        if state.is_new and (state.accepted_through or state.sealed_at is not None)
    ]
    if fresh:
        session.execute(insert(tables.producers), fresh)
    if known:
        table = tables.producers
        mine = (table.c.topic == bindparam("of_topic")) & (table.c.producer == bindparam("named"))
        session.execute(update(table).where(mine), known)


def _topic_values(name: str, state: TopicState) -> dict[str, Any]:
    return {
        "name": name, "last_seq": state.last_seq, "is_ended": state.is_ended, "figures": state.figures or None,
        "project": state.project, "updated_at": datetime.now(UTC),
    }  # fmt: skip


def _marks(state: ProducerState) -> dict[str, Any]:
    return {"accepted_through": state.accepted_through, "sealed_at": state.sealed_at}


def _producer_values(key: _ProducerKey, state: ProducerState) -> dict[str, Any]:
    return {"of_topic": key[0], "named": key[1], **_marks(state)}
