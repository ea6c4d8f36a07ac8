"""A running stream service on each database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from fastapi import FastAPI

from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol
from services.stream.settings import StreamSettings
from services.stream.wiring import MIGRATIONS
from tests.conftest import SERVICE_SECRET
from tests.databases import migrated
from tests.integration.stream.client import StreamCaller
from tests.live_server import live_server


def settings_for(database_url: str, folder: Path, **more: Any) -> StreamSettings:
    """Settings of a replica that may share `database_url` with others; its folder and schema are made here."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = StreamSettings.model_validate(
        {
            "service_secret": SERVICE_SECRET, "data_dir": folder, "database_url": database_url, "redis_url": "",
            "handoff": True, **more,
        }
    )  # fmt: skip
    migrated(settings.database, MIGRATIONS)
    return settings


class Delivery(NamedTuple):
    """How SSE reaches its listeners: sockets given away, or through ASGI; on which event loop."""

    is_handed_over: bool
    loop: Literal["asyncio", "uvloop"]

    @contextmanager
    def serve(self, app: FastAPI) -> Iterator[str]:
        """The app, live."""
        with live_server(app, http=HandoffProtocol if self.is_handed_over else "auto", loop=self.loop) as url:
            assert app.state.stream.hub.is_open
            yield url


@pytest.fixture(
    params=[Delivery(True, "uvloop"), Delivery(True, "asyncio"), Delivery(False, "uvloop")],
    ids=["handoff-uvloop", "handoff-asyncio", "asgi-uvloop"],
)
def delivery(request: pytest.FixtureRequest) -> Delivery:
    """The same test for both ways, and the one with privates on both loops."""
    way: Delivery = request.param
    return way


@pytest.fixture
def stream(database_url: str, tmp_path: Path) -> Iterator[StreamCaller]:
    """A caller of one replica."""
    with (
        live_server(create_app(settings_for(database_url, tmp_path)), http=HandoffProtocol) as url,
        StreamCaller(url) as caller,
    ):
        yield caller


@pytest.fixture
def embedded(tmp_path: Path, delivery: Delivery) -> Iterator[StreamCaller]:
    """The same on SQLite only, for what has nothing to do with the database."""
    with (
        delivery.serve(create_app(settings_for("", tmp_path, heartbeat_s=0.1, ring_events=8))) as url,
        StreamCaller(url) as caller,
    ):
        yield caller
