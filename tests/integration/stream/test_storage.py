"""Schema, group commit and its bounds, on each database."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from services.stream.log import tables
from services.stream.log.committer import Committer
from services.stream.log.entries import Entry, Record
from services.stream.log.numbering import Append
from services.stream.log.room import Room
from services.stream.wiring import MIGRATIONS
from shared.kit.errors import RateLimited, Unavailable
from shared.kit.migrations import migrate
from shared.kit.schema import is_current
from shared.kit.sql import Database, open_engine
from shared.kit.tasks import running

ENTRY = Entry("log", 1, None, datetime(2026, 1, 1, tzinfo=UTC), '{"a":1}', False, None)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The schema, and nothing in it."""
    opened = Database(open_engine(database_url, 6))
    migrate(opened.engine, MIGRATIONS)
    yield opened
    opened.close()


def test_migrations_make_exactly_the_tables_the_code_uses(database: Database) -> None:
    assert is_current(database.engine, MIGRATIONS)
    migrate(database.engine, MIGRATIONS)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def _committer(database: Database, told: list[Mapping[str, list[Record]]], **bounds: int) -> Committer:
    limits = {"max_appends": 100, "max_bytes": 10**6} | bounds
    return Committer(database, told.append, Room(**limits), lanes=3)


async def _submit_while_held(database: Database, committer: Committer, count: int) -> list[object]:
    """Submit appends while another connection holds the topic's lock, then let go."""
    async with running(*committer.tasks()):
        with database.engine.connect() as holder, holder.begin():
            holder.execute(select(tables.topics).where(tables.topics.c.topic == "job:x").with_for_update())
            waiting = [
                asyncio.create_task(committer.submit(Append("job:x", f"p{number}", 1, (ENTRY,))))
                for number in range(count)
            ]
            await asyncio.wait(waiting, timeout=0.3)
        return await asyncio.gather(*waiting, return_exceptions=True)


def test_what_waits_behind_a_commit_goes_into_the_next_together(database: Database) -> None:
    told: list[Mapping[str, list[Record]]] = []

    async def scenario() -> None:
        committer = _committer(database, told, max_appends=300)
        async with running(*committer.tasks()):
            await committer.submit(Append("job:x", "first", 1, (ENTRY,)))
        marks = await _submit_while_held(database, committer, 40)
        assert not [mark for mark in marks if isinstance(mark, BaseException)]
        committer.close()

    asyncio.run(scenario())
    assert 2 <= len(told) <= 4
    numbers = [record.seq for records in told for record in records["job:x"]]
    assert numbers == list(range(1, 42))


def test_a_flood_is_refused_with_the_time_to_come_back(database: Database) -> None:
    async def scenario() -> list[object]:
        committer = _committer(database, [], max_appends=15)
        async with running(*committer.tasks()):
            await committer.submit(Append("job:x", "first", 1, (ENTRY,)))
        answers = await _submit_while_held(database, committer, 40)
        committer.close()
        return answers

    refused = [answer for answer in asyncio.run(scenario()) if isinstance(answer, RateLimited)]
    assert refused
    assert {fault.retry_after_s for fault in refused} == {1.0}


def test_a_database_that_breaks_answers_unavailable_and_recovers(database: Database) -> None:
    async def scenario() -> None:
        committer = _committer(database, [])
        run = Append("job:x", "p", 1, (ENTRY,))
        async with running(*committer.tasks()):
            _execute(database, "ALTER TABLE producers RENAME TO hidden")
            with pytest.raises(Unavailable):
                await committer.submit(run)
            _execute(database, "ALTER TABLE hidden RENAME TO producers")
            assert (await committer.submit(run)).accepted_through == 1
        committer.close()

    asyncio.run(scenario())


def _execute(database: Database, statement: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(statement))
