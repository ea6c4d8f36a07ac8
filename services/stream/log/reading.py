"""The log read back: pages, marks, positions and figures."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Row, Select, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.stream.log import figures, tables
from services.stream.log.entries import Record
from services.stream.log.history import newest_of_step
from shared.contracts.events import CurrentMetrics, EventPage, ProducerMark, job_topic
from shared.kit.errors import Unavailable
from shared.kit.logs import logger
from shared.kit.sql import Database

T = TypeVar("T")

_ROWS_A_QUERY = 256
_PAGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Position:
    """How far a topic has come; an unknown topic is an empty one."""

    last_seq: int = 0
    is_ended: bool = False


class LogReader:
    """Every question the log answers; blocking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _read(self, work: Callable[[Session], T]) -> T:
        try:
            return self._database.read(work)
        except SQLAlchemyError as fault:
            logger.error("the log cannot be read: {}", type(fault).__name__)
            raise Unavailable("the log's database does not answer; try again shortly") from fault

    def check(self) -> None:
        """Raise Unavailable while the database does not answer."""
        self.positions([])

    def position(self, topic: str) -> Position:
        """Where the topic ends now."""
        return self.positions([topic]).get(topic, Position())

    def positions(self, topics: Collection[str]) -> dict[str, Position]:
        """Where each known one of `topics` ends now."""
        table = tables.topics
        query = select(table.c.topic, table.c.last_seq, table.c.is_ended).where(table.c.topic.in_(sorted(topics)))
        return self._read(
            lambda session: {row.topic: Position(row.last_seq, row.is_ended) for row in session.execute(query)}
        )

    def page(self, topic: str, after: int, limit: int) -> tuple[list[Record], bool]:
        """Up to `limit` records after `after`, fewer when they are large, and whether more follow."""
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

    def current(self, job_id: str) -> CurrentMetrics:
        """The newest value of every figure of a job."""
        query = select(tables.topics.c.figures).where(tables.topics.c.topic == job_topic(job_id))
        return figures.view(job_id, self._read(lambda session: session.scalar(query)))

    def history(self, job_id: str, after_step: int, limit: int) -> EventPage:
        """The newest metrics of each step after `after_step`, steps ascending."""
        return self._read(lambda session: _history(session, job_topic(job_id), after_step, limit))


def _records_query(topic: str) -> Select[Any]:
    table = tables.events
    return select(
        table.c.topic, table.c.seq, table.c.event_type, table.c.attempt, table.c.timestamp, table.c.data
    ).where(table.c.topic == topic)


def _record(row: Row[Any]) -> Record:
    return Record(row.topic, row.seq, row.event_type, row.attempt, row.timestamp, row.data)


def _page(session: Session, topic: str, after: int, limit: int) -> tuple[list[Record], bool]:
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


def _history(session: Session, topic: str, after_step: int, limit: int) -> EventPage:
    table = tables.events
    steps: Sequence[int | None] = session.scalars(
        select(table.c.step).distinct()
        .where(table.c.topic == topic, table.c.step > after_step).order_by(table.c.step).limit(limit + 1)
    ).all()  # fmt: skip
    if not steps:
        return EventPage(data=[], has_more=False)
    shown = steps[:limit]
    query = _records_query(topic).add_columns(table.c.step)
    query = query.where(table.c.step.between(shown[0], shown[-1])).order_by(table.c.step, table.c.seq)
    rows = session.execute(query)
    data = [newest_of_step([_record(row) for row in group]) for _, group in groupby(rows, key=lambda row: row.step)]
    return EventPage(data=data, has_more=len(steps) > limit)
