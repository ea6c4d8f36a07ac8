"""Transactions as the domain sees them: repositories over one session."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from orchestrator.db.repositories.attempts import SqlAttempts
from orchestrator.db.repositories.audit import SqlAudit
from orchestrator.db.repositories.census import SqlCensus
from orchestrator.db.repositories.datasets import SqlDatasets
from orchestrator.db.repositories.deletions import SqlDeletions
from orchestrator.db.repositories.deliveries import SqlDeliveries
from orchestrator.db.repositories.history import SqlHistory
from orchestrator.db.repositories.jobs import SqlJobs
from orchestrator.db.repositories.keys import SqlKeys
from orchestrator.db.repositories.line import SqlLine
from orchestrator.db.repositories.models import SqlModels
from orchestrator.db.repositories.outbox import SqlOutbox
from orchestrator.db.repositories.quotas import SqlQuotas
from orchestrator.db.repositories.requests import SqlRequests
from orchestrator.db.repositories.sweeps import SqlSweeps
from orchestrator.db.repositories.webhooks import SqlWebhooks
from orchestrator.db.repositories.workers import SqlWorkers
from orchestrator.domain.ports import UnitOfWork
from shared.kit.errors import Unavailable
from shared.kit.sql import Database, is_away

T = TypeVar("T")


class SqlUnitOfWork:
    """The repositories of one transaction, each made when first asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def jobs(self) -> SqlJobs:
        return SqlJobs(self._session)

    @cached_property
    def line(self) -> SqlLine:
        return SqlLine(self._session)

    @cached_property
    def attempts(self) -> SqlAttempts:
        return SqlAttempts(self._session)

    @cached_property
    def history(self) -> SqlHistory:
        return SqlHistory(self._session)

    @cached_property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self._session)

    @cached_property
    def datasets(self) -> SqlDatasets:
        return SqlDatasets(self._session)

    @cached_property
    def models(self) -> SqlModels:
        return SqlModels(self._session)

    @cached_property
    def quotas(self) -> SqlQuotas:
        return SqlQuotas(self._session)

    @cached_property
    def requests(self) -> SqlRequests:
        return SqlRequests(self._session)

    @cached_property
    def deletions(self) -> SqlDeletions:
        return SqlDeletions(self._session)

    @cached_property
    def sweeps(self) -> SqlSweeps:
        return SqlSweeps(self._session)

    @cached_property
    def audit(self) -> SqlAudit:
        return SqlAudit(self._session)

    @cached_property
    def census(self) -> SqlCensus:
        return SqlCensus(self._session)

    @cached_property
    def workers(self) -> SqlWorkers:
        return SqlWorkers(self._session)

    @cached_property
    def keys(self) -> SqlKeys:
        return SqlKeys(self._session)

    @cached_property
    def webhooks(self) -> SqlWebhooks:
        return SqlWebhooks(self._session)

    @cached_property
    def deliveries(self) -> SqlDeliveries:
        return SqlDeliveries(self._session)


class SqlUnitsOfWork:
    """Opens transactions on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, work: Callable[[UnitOfWork], T]) -> T:
        with _faults_told():
            return self._database.read(lambda session: work(SqlUnitOfWork(session)))

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        with _faults_told():
            return self._database.write(lambda session: work(SqlUnitOfWork(session)))


@contextmanager
def _faults_told() -> Iterator[None]:
    """A database that is away is an outage to wait for, not a fault of the request."""
    try:
        yield
    except OperationalError as fault:
        if is_away(fault):
            raise Unavailable("the database does not answer; try again shortly", retry_after_s=2) from fault
        raise
