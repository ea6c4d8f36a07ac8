"""The door to SQLAlchemy: engines for SQLite and MySQL, column types, and whole-transaction retry."""

import json
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    DateTime,
    Dialect,
    Engine,
    ExceptionContext,
    MetaData,
    String,
    Text,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from shared.kit.logs import logger

T = TypeVar("T")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_RETRIED_MYSQL = frozenset({1205, 1213, 2006, 2013, 4031})
"""Lock wait, deadlock, and the ways a lost connection shows: the transaction did not happen, or happens again whole."""
_AWAY_MYSQL = frozenset({1040, 1053, 2002, 2003, 2006, 2013, 4031})
_TRIES = 8


def new_metadata() -> MetaData:
    """Metadata whose constraint names are the same on every database."""
    return MetaData(naming_convention=NAMING)


def ascii_column(length: int) -> String:
    """Names, ids and hashes, compared byte by byte: MySQL's default collations take `job:A` and `job:a` for one key."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def exact_column(length: int) -> String:
    """Names in any script, compared by code point."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")


class UtcDateTime(TypeDecorator[datetime]):
    """Microseconds and UTC on every database; naive values are refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the database are UTC; this one has no zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class JsonText(TypeDecorator[Any]):
    """JSON kept as text, because MySQL's own type reorders keys."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(mysql.LONGTEXT() if dialect.name == "mysql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _on_sqlite_connect(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=20000"):
        connection.execute(f"PRAGMA {pragma}")


def _on_sqlite_begin(connection: Any) -> None:
    # A plain BEGIN upgrades to a write lock too late and fails with "database is locked" under contention.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _distrust_after_a_failed_commit(context: ExceptionContext) -> None:
    # SQLAlchemy takes the transaction for ended and skips the rollback: back in the pool, the connection would keep its
    # locks, and commit what was given up together with the next transaction. Only commits come without a statement.
    if context.statement is None:
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def open_engine(url: str, pool_size: int = 16) -> Engine:
    """An engine for `sqlite:///…` or `mysql+pymysql://…`, with the pragmas and isolation this house relies on."""
    if url.startswith("sqlite"):
        engine = create_engine(url, pool_size=pool_size, max_overflow=0, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
        event.listen(engine, "handle_error", _distrust_after_a_failed_commit)
        return engine
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=0, pool_pre_ping=True, pool_recycle=1800,
        isolation_level="READ COMMITTED", connect_args={"charset": "utf8mb4", "connect_timeout": 5},
    )  # fmt: skip
    event.listen(engine, "handle_error", _distrust_after_a_failed_commit)
    return engine


def is_transient(fault: DBAPIError) -> bool:
    """Whether the same transaction may succeed when run again from its start."""
    original = fault.orig
    if isinstance(original, sqlite3.OperationalError):
        return "locked" in str(original) or "busy" in str(original)
    code = original.args[0] if original is not None and original.args else None
    return code in _RETRIED_MYSQL


def is_away(fault: DBAPIError) -> bool:
    """Whether the server cannot be reached or takes no more connections: nothing is wrong with the statement."""
    code = fault.orig.args[0] if fault.orig is not None and fault.orig.args else None
    return code in _AWAY_MYSQL


class Database:
    """Sessions of one database; a write is one transaction, run again whole when the database asks for it."""

    def __init__(self, engine: Engine, sleep: Callable[[float], None] = time.sleep) -> None:
        self.engine = engine
        self._sleep = sleep
        self._writing = sessionmaker(engine, expire_on_commit=False)
        self._reading = sessionmaker(engine.execution_options(reading=True), expire_on_commit=False)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded default."""
        return self.engine.dialect.name == "sqlite"

    def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction that is rolled back."""
        return self._run(self._reading, work, commit=False)

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` and commit; `work` must be safe to run again after a rollback."""
        return self._run(self._writing, work, commit=True)

    def _run(self, sessions: sessionmaker[Session], work: Callable[[Session], T], *, commit: bool) -> T:
        for tried in range(1, _TRIES + 1):
            try:
                with sessions() as session:
                    result = work(session)
                    if commit:
                        session.commit()
                    return result
            except OperationalError as fault:
                if tried == _TRIES or not is_transient(fault):
                    raise
                logger.debug("transaction runs again after {}", type(fault.orig).__name__)
                self._sleep(min(0.01 * 2**tried, 0.5))
        raise AssertionError("unreachable: the last try returns or raises")

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
