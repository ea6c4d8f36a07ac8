"""The migrated schema is the one that the tables describe."""

from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.db.engine import MIGRATIONS
from orchestrator.db.tables import metadata
from services.stream.wiring import MIGRATIONS as STREAM_MIGRATIONS
from shared.kit.schema import is_current, newest_revision, upgrade
from shared.kit.sql import open_engine


def test_the_migrations_end_in_the_schema_that_the_tables_describe(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=2)
    upgrade(engine, MIGRATIONS)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=2)
    upgrade(engine, MIGRATIONS)
    upgrade(engine, MIGRATIONS)
    assert is_current(engine, MIGRATIONS)
    engine.dispose()


def test_an_empty_database_is_not_current(database_url: str) -> None:
    engine = open_engine(database_url, pool_size=1)
    assert not is_current(engine, MIGRATIONS)
    engine.dispose()


@pytest.mark.parametrize("package", [MIGRATIONS, STREAM_MIGRATIONS])
def test_the_newest_revision_by_file_name_is_the_one_that_alembic_ends_at(package: str) -> None:
    assert ScriptDirectory(str(files(package))).get_current_head() == newest_revision(package)
