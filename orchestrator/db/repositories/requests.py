"""Answered requests by their keys, in SQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.requests import RequestRow
from orchestrator.domain.idempotency import Answered, IdempotencyKey
from orchestrator.domain.ports import AlreadyThere

_T = table_of(RequestRow)
_JOBS = table_of(JobRow).c


class SqlRequests:
    """The requests that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, caller: str, key: str) -> Answered | None:
        job = select(_JOBS.job_id, _JOBS.request_hash).where(_JOBS.caller == caller, _JOBS.idempotency_key == key)
        if found := self._session.execute(job).one_or_none():
            return Answered(f"job:{found.job_id}", found.request_hash)
        other = select(_T.c.subject, _T.c.request_hash).where(_T.c.caller == caller, _T.c.idempotency_key == key)
        row = self._session.execute(other).one_or_none()
        return None if row is None else Answered(row.subject, row.request_hash)

    def add(self, key: IdempotencyKey, subject: str, at: datetime) -> None:
        row = {
            "caller": key.caller, "idempotency_key": key.key, "request_hash": key.request_hash, "subject": subject,
            "at": at,
        }  # fmt: skip
        try:
            self._session.execute(insert(_T), row)
        except IntegrityError as fault:
            raise AlreadyThere from fault

    def delete_before(self, before: datetime, limit: int) -> int:
        old = select(_T.c.caller, _T.c.idempotency_key).where(_T.c.at < before).limit(limit)
        found = [tuple(row) for row in self._session.execute(old)]
        if not found:
            return 0
        gone: Any = self._session.execute(delete(_T).where(tuple_(_T.c.caller, _T.c.idempotency_key).in_(found)))
        return int(gone.rowcount)
