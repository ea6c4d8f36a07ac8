"""Fixtures: a fake mesh and a client of it."""

from collections.abc import Iterator

import pytest

from imts.client import Client
from tests.integration.imts.fake_server import FakeServer, fake_server


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as started:
        yield started


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.url, "imts-key", stream_url=server.url, patience_s=5) as connected:
        yield connected
