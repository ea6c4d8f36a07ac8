"""Rulings on workers in SQL, and the jobs that they touch."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.workers import WorkerRow
from orchestrator.domain.job_machine import WORKING
from orchestrator.domain.ports import AlreadyThere
from orchestrator.domain.workers import Ruling
from shared.contracts.jobs import Phase
from shared.contracts.workers import WorkerState

_T = table_of(WorkerRow)
_JOB_TABLE = table_of(JobRow)
_JOBS = _JOB_TABLE.c
_WORKING = sorted(WORKING)


def _ruling_of(row: Row[Any]) -> Ruling:
    return Ruling(row.name, WorkerState(row.state), row.changed_at, row.changed_by)


class SqlWorkers:
    """`WorkerRepository` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[Ruling]:
        return [_ruling_of(row) for row in self._session.execute(select(_T).order_by(_T.c.name))]

    def hold(self, name: str) -> Ruling:
        row = self._session.execute(select(_T).where(_T.c.name == name).with_for_update()).one_or_none()
        return Ruling(name) if row is None else _ruling_of(row)

    def save(self, ruling: Ruling) -> None:
        values = asdict(ruling)
        written: Any = self._session.execute(update(_T).where(_T.c.name == ruling.name).values(values))
        if not written.rowcount:
            try:
                self._session.execute(insert(_T), values)
            except IntegrityError as fault:
                raise AlreadyThere from fault

    def has_been_used(self, name: str) -> bool:
        return bool(self._session.scalar(select(exists().where(_JOBS.placed_on == name))))

    def at_work(self) -> dict[str, int]:
        query = select(_JOBS.placed_on, func.count()).where(_JOBS.phase.in_(_WORKING)).group_by(_JOBS.placed_on)
        return {name: count for name, count in self._session.execute(query) if name is not None}

    def let_go(self, name: str, now: datetime) -> None:
        newer = _JOBS.version + 1
        mine = update(_JOB_TABLE).where(_JOBS.placed_on == name)
        paused = mine.where(_JOBS.phase == Phase.PAUSED).values(placed_on=None, version=newer)
        # Without a lane a job is looked at, and enters the line of those that may start anywhere.
        queued = mine.where(_JOBS.phase == Phase.QUEUED)
        working = mine.where(_JOBS.phase.in_(_WORKING)).values(next_look_at=now, version=newer)
        self._session.execute(paused)
        self._session.execute(queued.values(placed_on=None, lane=None, next_look_at=now, version=newer))
        self._session.execute(working)
