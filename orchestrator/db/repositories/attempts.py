"""Attempts in SQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from orchestrator.db.tables.attempts import AttemptRow
from orchestrator.db.tables.base import table_of
from orchestrator.domain.job import Attempt
from shared.contracts.work import AttemptCause, ExitReport, Failure

_T = table_of(AttemptRow)
_ATTEMPTS = _T.c


def _attempt_of(row: Row[Any]) -> Attempt:
    report = None if row.exit is None else ExitReport.model_validate(row.exit, extra="ignore")
    cause = AttemptCause(row.cause)
    verdict = None if row.verdict is None else Failure.model_validate(row.verdict, extra="ignore")
    return Attempt(row.job_id, row.number, cause, row.created_at, row.worker, row.ended_at, report, verdict)


class SqlAttempts:
    """The attempts that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, attempt: Attempt) -> None:
        row = {
            "job_id": attempt.job_id, "number": attempt.number, "cause": attempt.cause, "worker": attempt.worker,
            "created_at": attempt.created_at, "ended_at": None, "exit": None,
        }  # fmt: skip
        self._session.execute(insert(_T), row)

    def condemn(self, job_id: str, number: int, verdict: Failure) -> None:
        is_open = (_ATTEMPTS.job_id == job_id, _ATTEMPTS.number == number, _ATTEMPTS.ended_at.is_(None))
        self._session.execute(update(_T).where(*is_open).values(verdict=verdict.model_dump(mode="json")))

    def end(self, job_id: str, number: int, report: ExitReport, ended_at: datetime) -> None:
        is_open = (_ATTEMPTS.job_id == job_id, _ATTEMPTS.number == number, _ATTEMPTS.ended_at.is_(None))
        changes = {"exit": report.model_dump(mode="json"), "ended_at": ended_at}
        self._session.execute(update(_T).where(*is_open).values(changes))

    def find(self, job_id: str, number: int) -> Attempt | None:
        query = select(_T).where(_ATTEMPTS.job_id == job_id, _ATTEMPTS.number == number)
        row = self._session.execute(query).one_or_none()
        return None if row is None else _attempt_of(row)

    def of_job(self, job_id: str) -> list[Attempt]:
        query = select(_T).where(_ATTEMPTS.job_id == job_id).order_by(_ATTEMPTS.number)
        return [_attempt_of(row) for row in self._session.execute(query)]
