"""Fixtures that every level of tests shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import fresh_database

SERVICE_SECRET = "test-secret-test-secret-test-secret!"
"""Long enough for the services to start with."""


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same test on SQLite and on MySQL or MariaDB."""
    with fresh_database(request.param, tmp_path) as url:
        yield url
