"""The orchestrator's real app on a real server and a real database, among workers and a stream in memory."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestrator.db.engine import MIGRATIONS
from tests.databases import migrated
from tests.fakes.receiver import Receiver, receiving
from tests.integration.orchestrator.mesh import ALLOWED, Mesh, running_orchestrator


@pytest.fixture
def mesh(database_url: str, tmp_path: Path) -> Iterator[Mesh]:
    """A running orchestrator with a data set `facts` and a model `base`."""
    migrated(database_url, MIGRATIONS)
    with running_orchestrator(database_url, tmp_path / "data") as started:
        yield started


@pytest.fixture
def http(mesh: Mesh) -> httpx.Client:
    """A client with the admin key."""
    return mesh.http


@pytest.fixture
def open_mesh(database_url: str, tmp_path: Path) -> Iterator[Mesh]:
    """A mesh whose operator lets webhooks call this machine."""
    migrated(database_url, MIGRATIONS)
    with running_orchestrator(database_url, tmp_path / "data", **ALLOWED) as started:
        yield started


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Listens on a free port."""
    with receiving() as started:
        yield started
