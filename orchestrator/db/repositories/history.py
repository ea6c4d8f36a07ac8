"""The history of jobs in SQL."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.history import HistoryRow
from orchestrator.domain.job import HistoryEntry
from shared.contracts.jobs import Phase

_T = table_of(HistoryRow)
_HISTORY = _T.c


def _entry_of(row: Row[Any]) -> HistoryEntry:
    before = None if row.from_phase is None else Phase(row.from_phase)
    return HistoryEntry(row.job_id, row.at, before, Phase(row.to_phase), row.why, row.attempt)


class SqlHistory:
    """The moves that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, entries: Sequence[HistoryEntry]) -> None:
        self._session.execute(insert(_T), [asdict(entry) for entry in entries])

    def of_job(self, job_id: str) -> list[HistoryEntry]:
        query = select(_T).where(_HISTORY.job_id == job_id).order_by(_HISTORY.entry_id)
        return [_entry_of(row) for row in self._session.execute(query)]
