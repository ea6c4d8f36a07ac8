"""Deletions of jobs in SQL."""

from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from orchestrator.db.tables.attempts import AttemptRow
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.deletions import DeletionRow
from orchestrator.db.tables.dependencies import DependencyRow
from orchestrator.db.tables.history import HistoryRow
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.outbox import OutboxRow
from orchestrator.domain.deletion import Deletion
from shared.contracts.events import job_topic
from shared.contracts.jobs import TERMINAL

_T = table_of(DeletionRow)
_JOBS = table_of(JobRow)
_NEEDS = table_of(DependencyRow)
_OUTBOX = table_of(OutboxRow)
_OF_JOB = [table_of(AttemptRow), table_of(HistoryRow), _NEEDS, _JOBS]
_OVER = sorted(TERMINAL)
_FIELDS = [field.name for field in fields(Deletion)]


class SqlDeletions:
    """The deletions that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, deletion: Deletion) -> None:
        for table in _OF_JOB:
            self._session.execute(delete(table).where(table.c.job_id == deletion.job_id))
        self._session.execute(delete(_NEEDS).where(_NEEDS.c.depends_on == deletion.job_id))
        self._session.execute(delete(_OUTBOX).where(_OUTBOX.c.topic == job_topic(deletion.job_id)))
        self._session.execute(insert(_T), asdict(deletion))

    def due(self, now: datetime, limit: int) -> list[Deletion]:
        query = select(_T).where(_T.c.next_try_at <= now).order_by(_T.c.next_try_at).limit(limit)
        return [Deletion(**{name: getattr(row, name) for name in _FIELDS}) for row in self._session.execute(query)]

    def save(self, deletion: Deletion) -> None:
        mine = _T.c.job_id == deletion.job_id
        if deletion.is_done:
            self._session.execute(delete(_T).where(mine))
        else:
            self._session.execute(update(_T).where(mine).values(asdict(deletion)))

    def waiting_for(self, job_id: str) -> list[str]:
        query = select(_NEEDS.c.job_id).join(_JOBS, _JOBS.c.job_id == _NEEDS.c.job_id)
        return list(
            self._session.scalars(query.where(_NEEDS.c.depends_on == job_id, _JOBS.c.phase.not_in(_OVER)).limit(10))
        )

    def ended_before(self, before: datetime, after_id: str, limit: int) -> list[str]:
        # By primary key, the oldest first: what ended then was made before, and stands at the beginning.
        query = select(_JOBS.c.job_id).where(
            _JOBS.c.job_id > after_id, _JOBS.c.phase.in_(_OVER), _JOBS.c.created_at < before, _JOBS.c.ended_at < before
        )
        return list(self._session.scalars(query.order_by(_JOBS.c.job_id).limit(limit)))
