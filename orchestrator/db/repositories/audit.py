"""The audit in SQL."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from orchestrator.db.tables.audit import AuditRow
from orchestrator.db.tables.base import table_of
from orchestrator.domain.audit import Change

_T = table_of(AuditRow)
_AUDIT = _T.c


class SqlAudit:
    """The changes that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, *changes: Change) -> None:
        rows = [{name: value for name, value in asdict(change).items() if name != "entry_id"} for change in changes]
        self._session.execute(insert(_T), rows)

    def of(self, subject: str, limit: int) -> list[Change]:
        return self._read(select(_T).where(_AUDIT.subject == subject), limit)

    def page(self, before: int | None, limit: int) -> list[Change]:
        return self._read(select(_T) if before is None else select(_T).where(_AUDIT.entry_id < before), limit)

    def _read(self, query: Select[Any], limit: int) -> list[Change]:
        rows = self._session.execute(query.order_by(_AUDIT.entry_id.desc()).limit(limit))
        return [Change(row.at, row.who, row.action, row.subject, row.before, row.after, row.entry_id) for row in rows]
