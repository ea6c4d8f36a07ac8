"""The outbox in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.outbox import OutboxRow
from orchestrator.domain.job import OutboxEvent
from shared.contracts.events import ATTEMPT_LOG_INCOMPLETE

_T = table_of(OutboxRow)
_OUTBOX = _T.c
_FIELDS = [field.name for field in fields(OutboxEvent)]


class SqlOutbox:
    """The unsent events that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, events: Sequence[OutboxEvent]) -> None:
        rows = [asdict(event) | {"next_try_at": event.timestamp, "sent_at": None} for event in events]
        self._session.execute(insert(_T), rows)

    def due_topics(self, now: datetime, limit: int) -> list[str]:
        query = (
            select(_OUTBOX.topic).where(_OUTBOX.sent_at.is_(None), _OUTBOX.next_try_at <= now).distinct().limit(limit)
        )
        return list(self._session.scalars(query))

    def unsent(self, topics: Sequence[str], limit: int) -> list[OutboxEvent]:
        query = (
            select(_T)
            .where(_OUTBOX.topic.in_(topics), _OUTBOX.sent_at.is_(None))
            .order_by(_OUTBOX.topic, _OUTBOX.producer_seq)
            .limit(limit)
        )
        return [OutboxEvent(*(getattr(row, name) for name in _FIELDS)) for row in self._session.execute(query)]

    def mark_sent(self, topics: Sequence[str], through: int, now: datetime) -> None:
        is_covered = (_OUTBOX.topic.in_(topics), _OUTBOX.producer_seq <= through, _OUTBOX.sent_at.is_(None))
        self._session.execute(update(_T).where(*is_covered).values(sent_at=now))

    def reopen(self, topic: str, first_seq: int) -> None:
        is_later = (_OUTBOX.topic == topic, _OUTBOX.producer_seq >= first_seq)
        self._session.execute(update(_T).where(*is_later).values(sent_at=None))

    def postpone(self, topic: str, until: datetime) -> None:
        is_unsent = (_OUTBOX.topic == topic, _OUTBOX.sent_at.is_(None))
        self._session.execute(update(_T).where(*is_unsent).values(next_try_at=until))

    def told_incomplete(self, topic: str) -> set[int]:
        is_told = (_OUTBOX.topic == topic, _OUTBOX.event_type == ATTEMPT_LOG_INCOMPLETE)
        return set(self._session.scalars(select(_OUTBOX.attempt).where(*is_told)))

    def put_before_last(self, topic: str, events: Sequence[OutboxEvent]) -> None:
        is_last = (_OUTBOX.topic == topic, _OUTBOX.after_drain.is_(True), _OUTBOX.sent_at.is_(None))
        place = self._session.scalar(select(_OUTBOX.producer_seq).where(*is_last).with_for_update())
        # Another replica may have told of them, or sent the last event, meanwhile.
        told = self.told_incomplete(topic)
        fresh = [event for event in events if event.attempt not in told]
        if place is None or not fresh:
            return
        self._session.execute(update(_T).where(*is_last).values(producer_seq=place + len(fresh)))
        self.add([replace(event, producer_seq=place + number) for number, event in enumerate(fresh)])
        job = update(table_of(JobRow)).where(JobRow.job_id == topic.removeprefix("job:"))
        self._session.execute(job.values(event_seq=place + len(fresh)))

    def delete_sent_before(self, before: datetime, limit: int) -> int:
        old = select(_OUTBOX.topic, _OUTBOX.producer_seq).where(_OUTBOX.sent_at < before).limit(limit)
        found = [tuple(row) for row in self._session.execute(old)]
        if not found:
            return 0
        gone: Any = self._session.execute(delete(_T).where(tuple_(_OUTBOX.topic, _OUTBOX.producer_seq).in_(found)))
        return int(gone.rowcount)
