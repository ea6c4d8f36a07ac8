"""Brings a database to the newest schema, by a child process: Alembic's memory goes when it ends."""

import subprocess
import sys
from importlib.resources import files

from sqlalchemy import Connection, Engine, inspect, text

HEAD = "head"
REVISIONS_TABLE = "alembic_version"


def newest_revision(package: str) -> str:
    """Of the files in `package`, named `<revision>_<what>.py`; revisions are numbered in order."""
    names = (path.name for path in files(package).joinpath("versions").iterdir())
    return max(name.partition("_")[0] for name in names if name.endswith(".py"))


def applied_revisions(connection: Connection) -> list[str]:
    """What the database says of its schema; nothing when it has none yet."""
    if not inspect(connection).has_table(REVISIONS_TABLE):
        return []
    return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


def is_current(engine: Engine, package: str) -> bool:
    """Whether the database has the newest schema."""
    with engine.execution_options(reading=True).connect() as connection:
        return applied_revisions(connection) == [newest_revision(package)]


def upgrade(engine: Engine, package: str, revision: str = HEAD) -> None:
    """Apply the migrations in `package` that the database lacks, up to `revision`. Blocking; raises when they fail."""
    if is_current(engine, package):
        return
    # By standard input: the address may hold a password, and arguments are for every user of the machine to read.
    address = engine.url.render_as_string(hide_password=False).encode()
    subprocess.run([sys.executable, "-m", "shared.kit.migrations", package, revision], input=address, check=True)
