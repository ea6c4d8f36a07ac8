"""A commit that fails takes its connection with it: nothing stays locked, and nothing half done is committed later."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, delete, func, insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared.kit.sql import Database, open_engine

TABLE = Table("numbers", MetaData(), Column("number", Integer, primary_key=True))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(open_engine(database_url, pool_size=1))
    TABLE.metadata.create_all(database.engine)
    yield database
    TABLE.metadata.drop_all(database.engine)
    database.close()


def fail_next_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = database.engine.dialect

    def fail(_: object) -> None:
        monkeypatch.undo()
        raise dialect.loaded_dbapi.OperationalError("the disk is full")

    monkeypatch.setattr(dialect, "do_commit", fail)


def add(number: int, database: Database) -> None:
    def work(session: Session) -> None:
        session.execute(insert(TABLE).values(number=number))

    database.write(work)


def test_what_was_given_up_is_not_committed_with_what_comes_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_next_commit(database, monkeypatch)
    with pytest.raises(OperationalError):
        add(1, database)
    add(2, database)
    assert database.read(lambda session: list(session.scalars(select(TABLE.c.number)))) == [2]


def test_nothing_stays_locked_for_others(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(1, database)
    fail_next_commit(database, monkeypatch)
    with pytest.raises(OperationalError):
        database.write(lambda session: session.execute(delete(TABLE)) and None)
    other = Database(open_engine(database_url, pool_size=1))
    limit = "PRAGMA busy_timeout=500" if other.is_sqlite else "SET innodb_lock_wait_timeout=1"
    with other.engine.connect() as connection:
        connection.exec_driver_sql(limit)
    add(2, other)
    assert other.read(lambda session: session.scalar(select(func.count()).select_from(TABLE))) == 2
    other.close()
