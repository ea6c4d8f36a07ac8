"""A running stream service on each database."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.stream.app import create_app
from services.stream.settings import StreamSettings
from services.stream.wiring import MIGRATIONS
from tests.conftest import SERVICE_SECRET
from tests.databases import migrated
from tests.integration.stream.client import StreamCaller
from tests.live_server import live_server


def settings_for(database_url: str, folder: Path, **more: Any) -> StreamSettings:
    """Settings of a replica that may share `database_url` with others; its schema is made here."""
    settings = StreamSettings.model_validate(
        {"service_secret": SERVICE_SECRET, "data_dir": folder, "database_url": database_url, "redis_url": "", **more}
    )
    migrated(settings.database, MIGRATIONS)
    return settings


@pytest.fixture
def stream(database_url: str, tmp_path: Path) -> Iterator[StreamCaller]:
    """A caller of one replica."""
    with live_server(create_app(settings_for(database_url, tmp_path))) as url, StreamCaller(url) as caller:
        yield caller


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[StreamCaller]:
    """The same on SQLite only, for what has nothing to do with the database."""
    with (
        live_server(create_app(settings_for("", tmp_path, heartbeat_s=0.1, ring_events=8))) as url,
        StreamCaller(url) as caller,
    ):
        yield caller


@pytest.fixture
def free_port() -> int:
    """A port for a process that is started and killed; nobody else had it a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
