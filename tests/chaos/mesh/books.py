"""What the mesh's databases say, read past the proxies: the truth that invariants are checked against."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from shared.kit.sql import open_engine

Row = dict[str, Any]
_READ_TIMEOUT_S = 5


@dataclass(frozen=True)
class Pulse:
    """How far every job and its log are."""

    jobs: dict[str, Row]
    logs: dict[str, int]
    accepted: dict[tuple[str, str], int]

    def of(self, job_id: str) -> tuple[int, int]:
        """Goes up with every move and every event of the job."""
        return int(self.jobs[job_id]["event_seq"]), self.logs.get(job_id, 0)


class Books:
    """Both databases, read only."""

    def __init__(self, jobs_url: str, log_url: str) -> None:
        timeout = f"?read_timeout={_READ_TIMEOUT_S}"
        self._jobs = open_engine(jobs_url + timeout, pool_size=2)
        self._log = open_engine(log_url + timeout, pool_size=2)

    def pulse(self) -> Pulse | None:
        """One reading; None while the database is away."""
        try:
            jobs = _rows(self._jobs, "SELECT job_id, worker, phase, attempt, event_seq, lane, retries_spent FROM jobs")
            topics = _rows(self._log, "SELECT topic, last_seq FROM topics WHERE topic LIKE 'job:%'")
            marks = _rows(self._log, "SELECT topic, producer, accepted_through FROM producers")
        except DBAPIError:
            return None
        return Pulse(
            {row["job_id"]: row for row in jobs},
            {row["topic"].partition(":")[2]: row["last_seq"] for row in topics},
            {(row["topic"].partition(":")[2], row["producer"]): row["accepted_through"] for row in marks},
        )

    def jobs(self) -> list[Row]:
        """Every job."""
        return _rows(self._jobs, "SELECT * FROM jobs ORDER BY job_id")

    def attempts(self, job_id: str) -> list[Row]:
        """Every attempt of a job, its report read."""
        found = _rows(self._jobs, "SELECT * FROM attempts WHERE job_id = :job ORDER BY number", job=job_id)
        return [{**row, "exit": json.loads(row["exit"] or "null")} for row in found]

    def history(self, job_id: str) -> list[Row]:
        """Every move of a job."""
        return _rows(self._jobs, "SELECT * FROM history WHERE job_id = :job ORDER BY entry_id", job=job_id)

    def unsent(self) -> list[Row]:
        """Events that the orchestrator has not told the log."""
        return _rows(self._jobs, "SELECT topic, producer_seq FROM outbox WHERE sent_at IS NULL")

    def log(self, job_id: str) -> list[Row]:
        """Every event of a job, its data read."""
        found = _rows(self._log, "SELECT * FROM events WHERE topic = :topic ORDER BY seq", topic=f"job:{job_id}")
        return [{**row, "data": json.loads(row["data"])} for row in found]

    def close(self) -> None:
        """Give the connections back."""
        self._jobs.dispose()
        self._log.dispose()


def _rows(engine: Engine, statement: str, **values: str) -> list[Row]:
    with engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(text(statement), values)]


@contextmanager
def open_books(jobs_url: str, log_url: str) -> Iterator[Books]:
    """Books that are closed afterwards."""
    books = Books(jobs_url, log_url)
    try:
        yield books
    finally:
        books.close()
