"""The queue in SQL, asked by lane along the line's index."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, or_, select, union_all
from sqlalchemy.orm import Session

from orchestrator.db.repositories.job_rows import job_of
from orchestrator.db.repositories.jobs import is_free
from orchestrator.db.repositories.lanes import first_of_lane, in_line, lanes_by_turn, tidy
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.quotas import ProjectQuotaRow
from orchestrator.db.tables.sweeps import SweepRow
from orchestrator.domain.job import WORKER_OF_KIND, Job
from orchestrator.domain.job_machine import WORKING
from orchestrator.domain.queueing.estimating import Finished, likeness_of
from orchestrator.domain.queueing.lanes import Lane, Line, Waiting, group_of_project, group_of_sweep, parse_lane
from shared.contracts.jobs import Phase

_T = table_of(JobRow)
_JOBS = _T.c
_QUOTAS = table_of(ProjectQuotaRow).c
_SWEEPS = table_of(SweepRow).c
_WORKING = sorted(WORKING)
_LANES = 200
"""Lanes looked at in one turn, those that wait longest first."""


class SqlLine:
    """The queue that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def awaited(self, services: Sequence[str]) -> list[str]:
        # One existence test each, answered from the index: counting or DISTINCT would read the whole queue every turn.
        tests = [exists().where(in_line(service)) for service in services]
        found = self._session.execute(select(*tests)).one()
        return [service for service, is_awaited in zip(services, found, strict=True) if is_awaited]

    def look(self, service: str, now: datetime, depth: int) -> Line:
        heads: dict[Lane, list[Waiting]] = {}
        keys = self._lanes(service)
        if keys:
            for row in self._session.execute(union_all(*(_head(service, key, now, depth) for key in keys))):
                heads.setdefault(parse_lane(row.lane), []).append(Waiting(row.turn, row.job_id))
        bounds = self._bounds({lane.sweep for lane in heads if lane.sweep is not None})
        ordered = {lane: sorted(waiting, key=lambda item: (item.turn, item.job_id)) for lane, waiting in heads.items()}
        return Line(ordered, bounds.used, bounds.limits)

    def tidy(self) -> None:
        tidy(self._session)

    def _lanes(self, service: str) -> list[str]:
        return list(self._session.scalars(lanes_by_turn(service, _LANES)))

    def bounds(self) -> Line:
        return self._bounds(set())

    def _bounds(self, waiting: Set[str]) -> Line:
        """The bounds of every project, and of the sweeps that are at work or among those that wait."""
        at_work = (
            select(_JOBS.project, _JOBS.sweep, func.count()).where(_JOBS.phase.in_(_WORKING))
            .group_by(_JOBS.project, _JOBS.sweep)
        )  # fmt: skip
        used: Counter[str] = Counter()
        sweeps = set(waiting)
        for project, sweep, count in self._session.execute(at_work):
            used[group_of_project(project)] += count
            if sweep is not None:
                used[group_of_sweep(sweep)] += count
                sweeps.add(sweep)
        quotas = select(_QUOTAS.project, _QUOTAS.max_running).where(_QUOTAS.max_running.is_not(None))
        limits = {group_of_project(project): limit for project, limit in self._session.execute(quotas)}
        if sweeps:
            bounded = select(_SWEEPS.sweep_id, _SWEEPS.parallelism).where(
                _SWEEPS.sweep_id.in_(sweeps), _SWEEPS.parallelism.is_not(None)
            )
            limits |= {group_of_sweep(sweep): limit for sweep, limit in self._session.execute(bounded)}
        return Line({}, used, limits)

    def ahead(self, job: Job) -> Mapping[Lane, int]:
        is_ahead = or_(_JOBS.turn < job.turn, and_(_JOBS.turn == job.turn, _JOBS.job_id < job.job_id))
        query = select(_JOBS.lane, func.count()).where(in_line(job.worker), is_ahead).group_by(_JOBS.lane)
        return {parse_lane(key): count for key, count in self._session.execute(query)}

    def running_since(self, service: str) -> list[datetime]:
        query = select(_JOBS.started_at).where(
            _JOBS.phase.in_(_WORKING), _JOBS.worker == service, _JOBS.started_at.is_not(None)
        )
        return list(self._session.scalars(query))

    def finished_like(self, job: Job, limit: int) -> list[Finished]:
        query = (
            select(_T)
            .where(_JOBS.kind == job.kind, _JOBS.phase == Phase.SUCCEEDED, _JOBS.attempt == 1)
            .order_by(_JOBS.job_id.desc())
            .limit(limit)
        )
        finished = [job_of(row) for row in self._session.execute(query)]
        return [
            Finished(likeness_of(item), (item.ended_at - item.started_at).total_seconds())
            for item in finished
            if item.started_at is not None and item.ended_at is not None
        ]

    def count_of(self, project: str, at_most: int) -> int:
        # A lane's key begins with its project and a slash; "0" follows the slash. Every worker is named, or the index
        # could not be used.
        is_queued = and_(_JOBS.phase == Phase.QUEUED, _JOBS.worker.in_(sorted(set(WORKER_OF_KIND.values()))))
        is_in_line = and_(is_queued, _JOBS.lane >= f"{project}/", _JOBS.lane < f"{project}0")
        is_held = and_(is_queued, _JOBS.lane.is_(None), _JOBS.project == project)
        found = 0
        for is_there in (is_in_line, is_held):
            some = select(_JOBS.job_id).where(is_there).limit(max(at_most - found, 0)).subquery()
            found += self._session.scalar(select(func.count()).select_from(some)) or 0
        return found

    def has_place(self, job: Job) -> bool:
        quota = select(_QUOTAS.max_running).where(_QUOTAS.project == job.project).with_for_update()
        limit = self._session.scalar(quota)
        if limit is not None and self._at_work(_JOBS.project == job.project) >= limit:
            return False
        if job.sweep is None:
            return True
        parallelism = self._session.scalar(
            select(_SWEEPS.parallelism).where(_SWEEPS.sweep_id == job.sweep).with_for_update()
        )
        return parallelism is None or self._at_work(_JOBS.sweep == job.sweep) < parallelism

    def _at_work(self, is_of_group: Any) -> int:
        return self._session.scalar(select(func.count()).where(_JOBS.phase.in_(_WORKING), is_of_group)) or 0


def _head(service: str, lane: str, now: datetime, depth: int) -> Any:
    # A sub-select, because SQLite limits no part of a union.
    columns = [_JOBS.lane, _JOBS.turn, _JOBS.job_id]
    return select(first_of_lane(columns, service, lane, is_free(now), depth).subquery())
