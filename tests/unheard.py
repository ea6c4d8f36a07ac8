"""Commits that the database carries out, and whose answer never arrives."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

LOST = 2013
"""MySQL's "Lost connection to server during query"."""


@contextmanager
def unheard_commits(engine: Engine, of: str, times: int = 1) -> Iterator[list[str]]:
    """The next `times` transactions with a statement that begins with `of` commit unheard; those are in the list."""
    struck: list[str] = []

    def note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(of) and len(struck) < times:
            connection.info["unheard"] = statement

    def lose(connection: Connection) -> None:
        statement = connection.info.pop("unheard", None)
        if statement is not None:
            connection.connection.commit()
            struck.append(statement)
            raise OperationalError("COMMIT", {}, Exception(LOST, "Lost connection to server during query"))

    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", lose)
    try:
        yield struck
    finally:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "commit", lose)
