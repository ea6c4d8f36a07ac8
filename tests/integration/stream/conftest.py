"""A running stream service on each database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from fastapi import FastAPI

from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol, SocketProtocol
from services.stream.settings import StreamSettings
from services.stream.wiring import MIGRATIONS
from tests.conftest import SERVICE_SECRET
from tests.databases import migrated
from tests.integration.stream.client import StreamCaller
from tests.integration.stream.listening import WatchedProtocol
from tests.integration.stream.logs import Book, opened
from tests.live_server import live_server


def settings_for(database_url: str, folder: Path, **more: Any) -> StreamSettings:
    """Settings of a replica that may share `database_url` with others; its folder and schema are made here."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = StreamSettings.model_validate(
        {
            "service_secret": SERVICE_SECRET, "data_dir": folder, "database_url": database_url, "redis_url": "",
            **more,
        }
    )  # fmt: skip
    migrated(settings.database, MIGRATIONS)
    return settings


async def _missing(*_: object) -> bool:
    raise AttributeError("this server has no such thing")


class Delivery(NamedTuple):
    """How SSE reaches its listeners: sockets given away, or by the fallback; on which event loop."""

    is_handed_over: bool
    loop: Literal["asyncio", "uvloop"]

    @contextmanager
    def serve(self, app: FastAPI) -> Iterator[str]:
        """The app, live; without the hand-over, on a server that has not what it needs, as the app finds out itself."""
        with pytest.MonkeyPatch.context() as patch:
            if not self.is_handed_over:
                patch.setattr(HandoffProtocol, "hand_over", _missing)
            WatchedProtocol.transports.clear()
            with live_server(app, http=WatchedProtocol, ws=SocketProtocol, loop=self.loop) as url:
                assert app.state.stream.hub.is_open is self.is_handed_over
                yield url


@pytest.fixture(
    params=[Delivery(True, "uvloop"), Delivery(True, "asyncio"), Delivery(False, "uvloop")],
    ids=["handoff-uvloop", "handoff-asyncio", "fallback-uvloop"],
)
def delivery(request: pytest.FixtureRequest) -> Delivery:
    """The same test for both ways, and the one with privates on both loops."""
    way: Delivery = request.param
    return way


@pytest.fixture
def stream(database_url: str, tmp_path: Path) -> Iterator[StreamCaller]:
    """A caller of one replica."""
    with (
        live_server(create_app(settings_for(database_url, tmp_path)), http=HandoffProtocol, ws=SocketProtocol) as url,
        StreamCaller(url) as caller,
    ):
        yield caller


@pytest.fixture
def book(database_url: str) -> Iterator[Book]:
    """An empty log without a server."""
    with opened(database_url) as database:
        yield Book(database)


@pytest.fixture
def embedded(tmp_path: Path, delivery: Delivery) -> Iterator[StreamCaller]:
    """The same on SQLite only, for what has nothing to do with the database."""
    with (
        delivery.serve(create_app(settings_for("", tmp_path, heartbeat_s=0.1, ring_events=8))) as url,
        StreamCaller(url) as caller,
    ):
        yield caller
