"""A stream service that knows one person's key, and that person's way to it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.stream.app import create_app
from tests.fakes.key_directory import key_directory
from tests.integration.stream.client import StreamCaller
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server

KEY = "imts-a-key-that-the-directory-knows"
AWAY = "http://127.0.0.1:1"
Environment = dict[str, str]


def environment(stream_url: str, key: str = KEY) -> Environment:
    """Where a run finds the log; its sender does not outlive it when the log is away."""
    where = {"IMTS_URL": AWAY, "IMTS_API_KEY": key, "IMTS_STREAM_URL": stream_url}
    return {**os.environ, **where, "IMTS_SENDER_PATIENCE_S": "0"}


@pytest.fixture
def person(tmp_path: Path) -> Iterator[StreamCaller]:
    """Somebody with an API key, at a running stream service."""
    with live_server(key_directory(KEY)) as keys:
        app = create_app(settings_for("", tmp_path / "stream", orchestrator_url=keys))
        with live_server(app) as url, StreamCaller(url, KEY) as caller:
            yield caller


@pytest.fixture
def environ(person: StreamCaller) -> Environment:
    """How a run of that person reaches the log."""
    return environment(person.url)
