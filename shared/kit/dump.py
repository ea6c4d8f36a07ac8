"""A database as portable text: every table as JSON Lines from one snapshot, to be loaded into an empty database."""

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, MetaData, Table, column, insert, select, table, text

from shared.kit.files import fsync
from shared.kit.schema import REVISIONS_TABLE, applied_revisions, is_current, newest_revision, upgrade
from shared.kit.sql import open_engine

_ROWS = 500
_LEVEL = 4
Scalar = str | int | float | None
OnRow = Callable[[str, Mapping[str, Scalar]], None]
"""Told of every row while it is written: its table, and its columns by name."""


class DumpRefused(Exception):
    """One sentence for the operator: why this cannot be saved or loaded."""


def save(engine: Engine, package: str, target: Path, on_row: OnRow | None = None) -> dict[str, int]:
    """Write all tables as they were at one moment to `target`; how many rows each has.

    Others may go on writing meanwhile. Refused unless the database has the newest schema of `package`.
    """
    _require_current(engine, package)
    rows: dict[str, int] = {}
    with (
        snapshot(engine, target.with_name(f".{target.name}.snapshot")) as connection,
        gzip.open(target, "wt", compresslevel=_LEVEL, encoding="utf-8", newline="\n") as lines,
    ):
        for found in _tables(connection):
            rows[found.name] = _save_table(connection, found, lines, on_row)
        lines.write(_line({"complete": rows}))
    fsync(target)
    return rows


def load(engine: Engine, package: str, revision: str, source: Path, settle: Callable[[Connection], None]) -> None:
    """Fill an empty database from `source`, saved at `revision`, and bring it to the newest schema.

    All or nothing: rows, and what `settle` mends about them, are one transaction.
    """
    require_loadable(engine, package, revision)
    upgrade(engine, package, revision)
    with engine.connect() as connection, connection.begin(), gzip.open(source, "rt", encoding="utf-8") as lines:
        _load_tables(connection, lines)
        settle(connection)
    upgrade(engine, package)


@contextmanager
def snapshot(engine: Engine, scratch: Path) -> Iterator[Connection]:
    """A connection that sees one moment; SQLite is copied to `scratch` for it, so that no writer waits."""
    if engine.dialect.name == "sqlite":
        _copy_sqlite(engine, scratch)
        copy = open_engine(f"sqlite:///{scratch}", 1)
        try:
            with copy.execution_options(reading=True).connect() as connection:
                yield connection
        finally:
            copy.dispose()
            for leftover in scratch.parent.glob(f"{scratch.name}*"):
                leftover.unlink()
        return
    options = {"isolation_level": "REPEATABLE READ", "stream_results": True, "yield_per": _ROWS}
    with engine.connect().execution_options(**options) as connection:
        connection.execute(text("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"))
        yield connection


def _copy_sqlite(engine: Engine, target: Path) -> None:
    pooled = engine.raw_connection()
    into = sqlite3.connect(target)
    try:
        living = pooled.driver_connection
        assert isinstance(living, sqlite3.Connection)
        living.backup(into)
    finally:
        into.close()
        pooled.close()


def _require_current(engine: Engine, package: str) -> None:
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file is not None and not Path(file).is_file():
        raise DumpRefused(f"there is no database at {file}")
    if not is_current(engine, package):
        raise DumpRefused("the database does not have this program's schema: start the mesh once, so that it migrates")


def require_loadable(engine: Engine, package: str, revision: str) -> None:
    """Refuse a dump that this program cannot read, and a database that is not empty; changes nothing."""
    if revision > newest_revision(package):
        raise DumpRefused(
            f"it has schema {revision}, newer than this program's {newest_revision(package)}: update IMTS"
        )
    with engine.execution_options(reading=True).connect() as connection:
        applied = applied_revisions(connection)
        if applied not in ([], [revision]):
            raise DumpRefused(f"the database has schema {applied[0]}, the backup {revision}: restore into a new one")
        for found in _tables(connection):
            if connection.execute(select(*_columns(found)).select_from(table(found.name)).limit(1)).first():
                raise DumpRefused(f"the database is not empty: table {found.name} has rows; restore into an empty one")


def _tables(connection: Connection) -> list[Table]:
    """Those that others point at first."""
    known = MetaData()
    known.reflect(connection)
    return [found for found in known.sorted_tables if found.name != REVISIONS_TABLE]


def _columns(found: Table) -> list[Any]:
    # Without types: values pass as the driver gives them, which is the same text and numbers on every database.
    return [column(item.name) for item in found.columns]


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _scalar(value: object) -> Scalar:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if value is None or isinstance(value, str | int | float):
        return value
    raise DumpRefused(f"a column holds {type(value).__name__}, which no dump can carry")


def _save_table(connection: Connection, found: Table, lines: IO[str], on_row: OnRow | None) -> int:
    names = [item.name for item in found.columns]
    lines.write(_line({"table": found.name, "columns": names}))
    order: list[Any] = [column(item.name) for item in found.primary_key.columns]
    query = select(*_columns(found)).select_from(table(found.name)).order_by(*order)
    count = 0
    for row in connection.execute(query.execution_options(yield_per=_ROWS)):
        values = [_scalar(value) for value in row]
        lines.write(_line(values))
        count += 1
        if on_row is not None:
            on_row(found.name, dict(zip(names, values, strict=True)))
    return count


def _load_tables(connection: Connection, lines: IO[str]) -> None:
    name = ""
    names: list[str] = []
    waiting: list[dict[str, Scalar]] = []
    loaded: dict[str, int] = {}
    promised: dict[str, int] | None = None

    def flush() -> None:
        if waiting:
            connection.execute(insert(table(name, *(column(item) for item in names))), waiting)
            loaded[name] += len(waiting)
            waiting.clear()

    for line in lines:
        value = json.loads(line)
        if isinstance(value, list):
            waiting.append(dict(zip(names, value, strict=True)))
            if len(waiting) >= _ROWS:
                flush()
            continue
        flush()
        promised = value.get("complete")
        if promised is None:
            name, names = value["table"], value["columns"]
            loaded[name] = 0
    if promised != loaded:
        raise DumpRefused("it does not hold all the rows that it should")
