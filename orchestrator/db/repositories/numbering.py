"""The next number under a name, safe among replicas."""

from sqlalchemy import select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from orchestrator.db.tables.datasets import DatasetRow
from orchestrator.db.tables.models import ModelRow


def hold_name(session: Session, table: type[DatasetRow] | type[ModelRow], name: str) -> int:
    """Lock the name until the transaction ends, made when new, and answer its newest number."""
    values = {"name": name, "newest": 0}
    if session.get_bind().dialect.name == "mysql":
        session.execute(mysql.insert(table).values(values).on_duplicate_key_update(name=name))
    else:
        session.execute(sqlite.insert(table).values(values).on_conflict_do_nothing())
    return session.execute(select(table.newest).where(table.name == name).with_for_update()).scalar_one()


def number_next(session: Session, table: type[DatasetRow] | type[ModelRow], name: str, newest: int) -> int:
    """The number after `newest`, written down; the name must be held."""
    session.execute(update(table).where(table.name == name).values(newest=newest + 1))
    return newest + 1
