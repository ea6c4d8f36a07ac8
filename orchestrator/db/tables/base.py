"""The declarative base of every table, and its column types."""

from typing import Any

from sqlalchemy import BigInteger, Integer, String, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeEngine

from shared.kit.sql import new_metadata


class Base(DeclarativeBase):
    """Names constraints alike on every database."""

    metadata = new_metadata()


def table_of(row: type[Base]) -> Table:
    """The table behind a row class, for Core statements."""
    table = row.__table__
    assert isinstance(table, Table)
    return table


def exact_text(length: int) -> TypeEngine[str]:
    """Names of people and things, compared exactly."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")


def serial() -> TypeEngine[Any]:
    """A primary key that counts up; SQLite counts only plain INTEGER."""
    return BigInteger().with_variant(Integer(), "sqlite")
