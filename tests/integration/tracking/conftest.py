"""A stream service that knows one person's key, and that person's way to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imts.client.transport import Transport
from services.stream.app import create_app
from tests.fakes.key_directory import key_directory
from tests.integration.stream.client import StreamCaller
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server

KEY = "imts-a-key-that-the-directory-knows"
Connect = Callable[[], Transport]


@pytest.fixture
def person(tmp_path: Path) -> Iterator[StreamCaller]:
    """Somebody with an API key, at a running stream service."""
    with live_server(key_directory(KEY)) as keys:
        app = create_app(settings_for("", tmp_path / "stream", orchestrator_url=keys))
        with live_server(app) as url, StreamCaller(url, KEY) as caller:
            yield caller


@pytest.fixture
def connect(person: StreamCaller) -> Connect:
    """How a run of that person reaches the log."""
    return lambda: Transport(person.url, KEY, 5.0)
