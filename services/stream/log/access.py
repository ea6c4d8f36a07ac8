"""The log's database as the rest of the service sees it: when it does not answer, that is Unavailable."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.kit.errors import Unavailable
from shared.kit.logs import logger
from shared.kit.sql import Database

T = TypeVar("T")


class Access:
    """Transactions on the log; blocking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction that is rolled back."""
        return self._run(self._database.read, work)

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` and commit; `work` must be safe to run again after a rollback."""
        return self._run(self._database.write, work)

    def _run(self, run: Callable[[Callable[[Session], T]], T], work: Callable[[Session], T]) -> T:
        try:
            return run(work)
        except SQLAlchemyError as fault:
            logger.error("the log's database does not answer: {}", type(fault).__name__)
            raise Unavailable("the log's database does not answer; try again shortly") from fault
