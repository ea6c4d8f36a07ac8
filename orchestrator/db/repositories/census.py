"""Counting in SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from orchestrator.db.repositories.jobs import is_free
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.outbox import OutboxRow
from orchestrator.domain.census import Backlog, Standing
from orchestrator.domain.job_machine import WORKING
from shared.contracts.jobs import TERMINAL, Phase
from shared.contracts.work import JobKind

_JOBS = table_of(JobRow).c
_OUTBOX = table_of(OutboxRow).c


class SqlCensus:
    """`CensusRepository` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def jobs(self) -> Sequence[Standing]:
        living = sorted(set(Phase) - TERMINAL)
        columns = (_JOBS.kind, _JOBS.phase, _JOBS.worker)
        query = select(*columns, func.count().label("jobs"), func.min(_JOBS.created_at).label("oldest"))
        rows = self._session.execute(query.where(_JOBS.phase.in_(living)).group_by(*columns))
        return [Standing(JobKind(row.kind), Phase(row.phase), row.worker, row.jobs, row.oldest) for row in rows]

    def unsent_events(self) -> Backlog:
        query = select(func.count(), func.min(_OUTBOX.timestamp)).where(_OUTBOX.sent_at.is_(None))
        return Backlog(*self._session.execute(query).one())

    def overdue(self, now: datetime) -> Backlog:
        is_due = (_JOBS.phase.in_(sorted(WORKING)), _JOBS.next_look_at <= now, is_free(now))
        query = select(func.count(), func.min(_JOBS.next_look_at)).where(*is_due)
        return Backlog(*self._session.execute(query).one())
