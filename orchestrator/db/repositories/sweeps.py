"""Sweeps in SQL, and what they need to know of their jobs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.orm import Session

from orchestrator.db.repositories.job_rows import job_of
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.sweeps import SweepRow
from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import STOPPABLE
from orchestrator.domain.sweep import Sweep, Trial
from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind

_T = table_of(SweepRow)
_SWEEPS = _T.c
_JOB_ROWS = table_of(JobRow)
_JOBS = _JOB_ROWS.c


def _sweep_of(row: Row[Any]) -> Sweep:
    return Sweep(
        row.sweep_id, JobKind(row.kind), row.project, row.name, row.spec, row.trials, row.parallelism,
        row.created_at, row.created_by,
    )  # fmt: skip


class SqlSweeps:
    """The sweeps that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, sweep: Sweep) -> None:
        self._session.execute(insert(_T), asdict(sweep))

    def _one(self, *where: Any) -> Row[Any] | None:
        return self._session.execute(select(_T).where(*where)).one_or_none()

    def find(self, sweep_id: str) -> Sweep | None:
        row = self._one(_SWEEPS.sweep_id == sweep_id)
        return None if row is None else _sweep_of(row)

    def page(self, project: str | None, before: str | None, limit: int) -> list[Sweep]:
        query = select(_T).order_by(_SWEEPS.sweep_id.desc()).limit(limit)
        if project is not None:
            query = query.where(_SWEEPS.project == project)
        if before is not None:
            query = query.where(_SWEEPS.sweep_id < before)
        return [_sweep_of(row) for row in self._session.execute(query)]

    def counts(self, sweep_ids: Sequence[str]) -> dict[str, dict[Phase, int]]:
        query = (
            select(_JOBS.sweep, _JOBS.phase, func.count())
            .where(_JOBS.sweep.in_(sweep_ids))
            .group_by(_JOBS.sweep, _JOBS.phase)
        )
        found: dict[str, dict[Phase, int]] = {sweep_id: {} for sweep_id in sweep_ids}
        for sweep_id, phase, count in self._session.execute(query):
            found[sweep_id][Phase(phase)] = count
        return found

    def trials(self, sweep_id: str) -> list[Trial]:
        columns = (
            _JOBS.trial, _JOBS.job_id, _JOBS.phase, _JOBS.why, _JOBS.parameters, _JOBS.fraction, _JOBS.metrics,
            _JOBS.result,
        )  # fmt: skip
        query = select(*columns).where(_JOBS.sweep == sweep_id).order_by(_JOBS.trial)
        return [
            Trial(number, job_id, Phase(phase), why, parameters or {}, fraction, metrics, result)
            for number, job_id, phase, why, parameters, fraction, metrics, result in self._session.execute(query)
        ]

    def stoppable(self, sweep_id: str) -> list[Job]:
        query = (
            select(_JOB_ROWS)
            .where(_JOBS.sweep == sweep_id, _JOBS.phase.in_(sorted(STOPPABLE)))
            .order_by(_JOBS.job_id)
            .with_for_update()
        )
        return [job_of(row) for row in self._session.execute(query)]
