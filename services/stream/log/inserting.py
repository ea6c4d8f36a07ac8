"""Rows of the events table on their way to the driver: SQLAlchemy would look at every value of each."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import insert
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from services.stream.log import tables

EventRow: TypeAlias = tuple[str, int, str, int | None, int | None, str, str, int, str]
"""The columns of `tables.events` in their order; the time as `YYYY-MM-DD HH:MM:SS.ffffff`, UTC, on every database."""

_MYSQL = str(insert(tables.events).compile(dialect=mysql.dialect(paramstyle="format")))
_SQLITE = str(insert(tables.events).compile(dialect=sqlite.dialect(paramstyle="qmark")))
_ROW = _SQLITE[_SQLITE.rindex("(") :]
_AT_ONCE = 100
_SQLITE_MANY = _SQLITE + f", {_ROW}" * (_AT_ONCE - 1)


def insert_events(session: Session, rows: Sequence[EventRow]) -> None:
    """Insert `rows`, many with each statement."""
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(_MYSQL, list(rows))
        return
    # Each statement gives the interpreter away and then waits to get it back: one for many rows.
    whole = len(rows) - len(rows) % _AT_ONCE
    for first in range(0, whole, _AT_ONCE):
        parameters: tuple[Any, ...] = tuple(chain.from_iterable(rows[first : first + _AT_ONCE]))
        connection.exec_driver_sql(_SQLITE_MANY, parameters)
    if rest := list(rows[whole:]):
        connection.exec_driver_sql(_SQLITE, rest)
