"""Brings a database to the newest schema, by a child process: Alembic's memory goes when it ends."""

import subprocess
import sys
from importlib.resources import files

from sqlalchemy import Connection, Engine, inspect, text

from shared.kit.logs import logger

HEAD = "head"
_ERA = 2
"""Characters of a revision that name its era."""
REVISIONS_TABLE = "alembic_version"


class SchemaTooNew(RuntimeError):
    """A later program took something out of this database that this one needs."""


def newest_revision(package: str) -> str:
    """Of the files in `package`, named `<revision>_<what>.py`; revisions are numbered in order."""
    names = (path.name for path in files(package).joinpath("versions").iterdir())
    return max(name.partition("_")[0] for name in names if name.endswith(".py"))


def applied_revisions(connection: Connection) -> list[str]:
    """What the database says of its schema; nothing when it has none yet."""
    if not inspect(connection).has_table(REVISIONS_TABLE):
        return []
    return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


def works_on(applied: str, newest: str) -> bool:
    """Whether a program whose newest revision is `newest` can use a database at `applied`, without migrating it.

    Revisions of one era (`o0…`) only add, so an earlier program works on them; what takes away begins the next (`o1…`).
    """
    return applied >= newest and applied[:_ERA] == newest[:_ERA]


def is_current(engine: Engine, package: str) -> bool:
    """Whether the database has the newest schema."""
    with engine.execution_options(reading=True).connect() as connection:
        return applied_revisions(connection) == [newest_revision(package)]


def upgrade(engine: Engine, package: str, revision: str = HEAD) -> None:
    """Apply the migrations in `package` that the database lacks, up to `revision`; a later program's are left alone.

    Blocking; raises when they fail, and SchemaTooNew when this program cannot work on what is there.
    """
    newest = newest_revision(package)
    with engine.execution_options(reading=True).connect() as connection:
        applied = max(applied_revisions(connection), default="")
    if works_on(applied, newest):
        if applied != newest:
            logger.warning("the database has schema {}, newer than this program's {}; it works on it", applied, newest)
        return
    if applied > newest:
        raise SchemaTooNew(f"the database has schema {applied}; this program ends at {newest}: update IMTS here too")
    # By standard input: the address may hold a password, and arguments are for every user of the machine to read.
    address = engine.url.render_as_string(hide_password=False).encode()
    subprocess.run([sys.executable, "-m", "shared.kit.migrations", package, revision], input=address, check=True)
