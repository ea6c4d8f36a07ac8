"""Fixtures that every level of tests shares."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import fresh_database
from tests.lanes import LanesScheduling

SERVICE_SECRET = "test-secret-test-secret-test-secret!"
"""Long enough for the services to start with."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LanesScheduling | None:
    """`--dist loadfile` is ours: a lane is a file, or all whole meshes."""
    return LanesScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same test on SQLite and on MySQL or MariaDB."""
    with fresh_database(request.param, tmp_path) as url:
        yield url
