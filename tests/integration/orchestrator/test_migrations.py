"""The migrated schema is the one that the tables describe."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from orchestrator.db.engine import MIGRATIONS
from orchestrator.db.tables import metadata
from services.stream.wiring import MIGRATIONS as STREAM_MIGRATIONS
from shared.kit.migrations import migrate
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


def _shape(engine: Engine) -> dict[str, dict[str, Any]]:
    found = inspect(engine)
    return {table: {column["name"]: column for column in found.get_columns(table)} for table in found.get_table_names()}


@pytest.mark.parametrize("package", [MIGRATIONS, STREAM_MIGRATIONS])
def test_a_migration_takes_nothing_away_from_the_program_before_it(package: str, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'steps.db'}", pool_size=1)
    scripts = [*ScriptDirectory(str(files(package))).walk_revisions()][::-1]
    before: dict[str, dict[str, Any]] = {}
    for script in scripts:
        migrate(engine, package, script.revision)
        after = _shape(engine)
        begins_an_era = not before or script.revision[:2] != str(script.down_revision)[:2]
        for table, columns in () if begins_an_era else before.items():
            kept = {name: str(column["type"]) for name, column in after[table].items() if name in columns}
            assert kept == {name: str(column["type"]) for name, column in columns.items()}, script.revision
            added = [column for name, column in after[table].items() if name not in columns]
            assert all(column["nullable"] or column["default"] for column in added), script.revision
        before = after
    engine.dispose()
