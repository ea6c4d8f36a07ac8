"""The door to Alembic: bring a database to the newest schema, one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, text

from shared.kit.errors import Unavailable

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


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files(package)))
    return config


def upgrade(engine: Engine, package: str) -> None:
    """Apply the migrations in `package` (its `env.py` calls `run_env`) up to the newest."""
    config = _config(package)
    with engine.connect() as connection, _one_at_a_time(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def is_current(engine: Engine, package: str) -> bool:
    """Whether the database has the newest schema."""
    head = ScriptDirectory.from_config(_config(package)).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def run_env(metadata: MetaData) -> None:
    """The whole of a migration folder's `env.py`."""
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
