"""The log read back: pages, marks, positions and figures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from services.stream.log import figures, tables
from services.stream.log.access import Access
from services.stream.log.entries import Record
from services.stream.log.history import newest_of_step
from services.stream.log.kept import read_kept
from services.stream.log.keys import pick
from services.stream.log.thinned import read_steps
from shared.contracts.events import CurrentMetrics, EventPage, ProducerMark, job_topic

_ROWS_A_QUERY = 256
_PAGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Position:
    """How far a topic has come; an unknown topic is an empty one."""

    last_seq: int = 0
    is_ended: bool = False
    is_deleted: bool = False


class LogReader:
    """Every question the log answers; blocking."""

    def __init__(self, log: Access) -> None:
        self._read = log.read

    def check(self) -> None:
        """Raise Unavailable while the database does not answer."""
        self.positions([])

    def position(self, topic: str) -> Position:
        """Where the topic ends now."""
        return self.positions([topic]).get(topic, Position())

    def positions(self, topics: Collection[str]) -> dict[str, Position]:
        """Where each known one of `topics` ends now."""
        table = tables.topics
        query: Select[Any] = select(table.c.topic, table.c.last_seq, table.c.is_ended, table.c.state)
        query = query.where(table.c.topic.in_(sorted(topics)))
        return self._read(lambda session: {row.topic: _position(row) for row in session.execute(query)})

    def page(self, topic: str, after: int, limit: int) -> tuple[list[Record], bool]:
        """Up to `limit` records after `after`, fewer when they are large, and whether more follow.

        A shortened log begins with `compacted`; NotFound where the log was deleted.
        """
        return self._read(lambda session: _page(session, topic, after, limit))

    def mark(self, topic: str, producer: str) -> ProducerMark:
        """How far a producer's numbering is in the log."""
        table = tables.producers
        query = select(table.c.accepted_through, table.c.sealed_at)
        query = query.where(table.c.topic == topic, table.c.producer == producer)
        row = self._read(lambda session: session.execute(query).one_or_none())
        if row is None:
            return ProducerMark(producer=producer)
        return ProducerMark(producer=producer, accepted_through=row.accepted_through, sealed_at=row.sealed_at)

    def current(self, job_id: str, keys: Sequence[str] = ()) -> CurrentMetrics:
        """The newest value of every figure of a job, or of those named."""
        view = self._read(lambda session: _current(session, job_id))
        return view.model_copy(update={"data": pick(view.data, keys)}) if keys else view

    def history(self, job_id: str, after: int, until: int, limit: int, keys: Sequence[str] = ()) -> EventPage:
        """The newest metrics of each step after `after`, steps ascending; only `step` and `keys`, if any are named."""
        page = self._read(lambda session: _history(session, job_topic(job_id), after, until, limit))
        if not keys:
            return page
        data = [event.model_copy(update={"data": pick(event.data, ("step", *keys))}) for event in page.data]
        return page.model_copy(update={"data": data})


def _position(row: Row[Any]) -> Position:
    return Position(row.last_seq, row.is_ended, row.state in tables.GONE)


def _current(session: Session, job_id: str) -> CurrentMetrics:
    read_kept(session, job_topic(job_id))
    query = select(tables.topics.c.figures).where(tables.topics.c.topic == job_topic(job_id))
    return figures.view(job_id, session.scalar(query))


def _records_query(topic: str) -> Select[Any]:
    table = tables.events
    return select(
        table.c.topic, table.c.seq, table.c.event_type, table.c.attempt, table.c.timestamp, table.c.data
    ).where(table.c.topic == topic)


def _record(row: Row[Any]) -> Record:
    return Record(row.topic, row.seq, row.event_type, row.attempt, row.timestamp, row.data)


def _page(session: Session, topic: str, after: int, limit: int) -> tuple[list[Record], bool]:
    read_kept(session, topic)
    found: list[Record] = []
    size = 0
    while True:
        wanted = min(_ROWS_A_QUERY, limit + 1 - len(found))
        query = _records_query(topic).where(tables.events.c.seq > after).order_by(tables.events.c.seq).limit(wanted)
        batch = [_record(row) for row in session.execute(query)]
        found += batch
        size += sum(len(record.data) for record in batch)
        if len(batch) < wanted:
            return found, False
        if len(found) > limit:
            return found[:limit], True
        if size > _PAGE_BYTES:
            return found, True
        after = found[-1].seq


def _history(session: Session, topic: str, after: int, until: int, limit: int) -> EventPage:
    kept = read_kept(session, topic)
    if kept.curve_width is not None:
        return read_steps(session, topic, kept, after, until, limit)
    table = tables.events
    steps: Sequence[int | None] = session.scalars(
        select(table.c.step).distinct()
        .where(table.c.topic == topic, table.c.step > after, table.c.step <= until)
        .order_by(table.c.step).limit(limit + 1)
    ).all()  # fmt: skip
    if not steps:
        return EventPage(data=[], has_more=False)
    shown = steps[:limit]
    query = _records_query(topic).add_columns(table.c.step)
    query = query.where(table.c.step.between(shown[0], shown[-1])).order_by(table.c.step, table.c.seq)
    rows = session.execute(query)
    data = [newest_of_step([_record(row) for row in group]) for _, group in groupby(rows, key=lambda row: row.step)]
    return EventPage(data=data, has_more=len(steps) > limit)
