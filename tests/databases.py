"""Fresh databases for tests: a SQLite file, or a schema of its own on the MySQL server that the environment names."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from shared.kit.migrations import migrate
from shared.kit.sql import open_engine


def required_url(name: str) -> str:
    """A server's address from the environment; absent it skips, except in CI, where it fails."""
    url = os.environ.get(name, "")
    if not url and os.environ.get("CI"):
        pytest.fail(f"{name} must be set in CI")
    if not url:
        pytest.skip(f"{name} is not set: no such server to test on")
    return url


@contextmanager
def fresh_schema(server_url: str = "") -> Iterator[str]:
    """The URL of an empty schema on the MySQL server that is named, or on the environment's, dropped afterwards."""
    server = make_url(server_url or required_url("IMTS_TEST_MYSQL_URL")).set(database="")
    name = f"imts_test_{secrets.token_hex(6)}"
    engine = open_engine(server.render_as_string(hide_password=False), pool_size=1)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        engine.dispose()


def migrated(url: str, package: str) -> None:
    """Bring a database to the newest schema here and now; a service would spend a second on a process for it."""
    engine = open_engine(url, pool_size=1)
    migrate(engine, package)
    engine.dispose()


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of kind `sqlite` or `mysql`."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
        return
    with fresh_schema() as url:
        yield url
