"""The door to Alembic: migrate a database, one process at a time; run by `shared.kit.schema`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData, text

from shared.kit.errors import Unavailable
from shared.kit.schema import HEAD
from shared.kit.sql import open_engine

_LOCK_WAIT_S = 60


@contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    """MySQL commits each DDL statement by itself, so replicas that start together take turns."""
    if connection.dialect.name != "mysql":
        yield
        return
    name = "concat('imts-migrate-', database())"
    if connection.scalar(text(f"SELECT GET_LOCK({name}, {_LOCK_WAIT_S})")) != 1:
        raise Unavailable("another process is migrating this database; try again shortly")
    try:
        yield
    finally:
        connection.execute(text(f"SELECT RELEASE_LOCK({name})"))


def migrate(engine: Engine, package: str, revision: str = HEAD) -> None:
    """Apply the migrations in `package` (its `env.py` calls `run_env`) up to `revision`."""
    config = Config()
    config.set_main_option("script_location", str(files(package)))
    with engine.connect() as connection, _one_at_a_time(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def run_env(metadata: MetaData) -> None:
    """The whole of a migration folder's `env.py`."""
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def main(package: str, revision: str) -> None:
    """Migrate the database whose address stands on standard input."""
    engine = open_engine(sys.stdin.read(), pool_size=1)
    try:
        migrate(engine, package, revision)
    finally:
        engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
