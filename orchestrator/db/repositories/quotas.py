"""Quotas of projects in SQL."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.quotas import ProjectQuotaRow
from orchestrator.domain.ports import AlreadyThere
from orchestrator.domain.quota import Quota

_T = table_of(ProjectQuotaRow)


def _quota_of(row: Row[Any]) -> Quota:
    return Quota(row.project, row.max_running, row.max_queued, row.version, row.updated_at, row.updated_by)


class SqlQuotas:
    """The quotas that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, project: str) -> Quota:
        return self._one(project, lock=False)

    def hold(self, project: str) -> Quota:
        return self._one(project, lock=True)

    def _one(self, project: str, *, lock: bool) -> Quota:
        query = select(_T).where(_T.c.project == project)
        row = self._session.execute(query.with_for_update() if lock else query).one_or_none()
        return Quota(project) if row is None else _quota_of(row)

    def all(self) -> list[Quota]:
        return [_quota_of(row) for row in self._session.execute(select(_T).order_by(_T.c.project))]

    def save(self, quota: Quota) -> None:
        if quota.version > 1:
            self._session.execute(update(_T).where(_T.c.project == quota.project).values(asdict(quota)))
            return
        try:
            self._session.execute(insert(_T), asdict(quota))
        except IntegrityError as fault:
            raise AlreadyThere from fault
