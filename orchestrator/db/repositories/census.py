"""Counting in SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from orchestrator.db.repositories.jobs import is_free
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.outbox import OutboxRow
from orchestrator.domain.census import Backlog, Standing
from orchestrator.domain.job import WORKER_OF_KIND
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
        is_living = and_(_JOBS.kind.in_(sorted(JobKind)), _JOBS.phase.in_(living))
        # Of columns that one index has, the first row's id among them: ids sort by the time they were made.
        counts = select(_JOBS.kind, _JOBS.phase, func.count().label("jobs"), func.min(_JOBS.job_id).label("first"))
        counted = counts.where(is_living).group_by(_JOBS.kind, _JOBS.phase).subquery()
        query = select(counted, _JOBS.created_at).join(table_of(JobRow), _JOBS.job_id == counted.c.first)
        return [
            Standing(JobKind(row.kind), Phase(row.phase), WORKER_OF_KIND[JobKind(row.kind)], row.jobs, row.created_at)
            for row in self._session.execute(query)
        ]

    def unsent_events(self) -> Backlog:
        query = select(func.count(), func.min(_OUTBOX.timestamp)).where(_OUTBOX.sent_at.is_(None))
        return Backlog(*self._session.execute(query).one())

    def overdue(self, now: datetime) -> Backlog:
        is_due = (_JOBS.phase.in_(sorted(WORKING)), _JOBS.next_look_at <= now, is_free(now))
        query = select(func.count(), func.min(_JOBS.next_look_at)).where(*is_due)
        return Backlog(*self._session.execute(query).one())
