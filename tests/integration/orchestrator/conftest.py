"""The orchestrator's real app on a real server and a real database, among workers and a stream in memory."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from orchestrator.db.engine import MIGRATIONS
from orchestrator.settings import OrchestratorSettings
from tests.conftest import SERVICE_SECRET
from tests.databases import migrated
from tests.integration.orchestrator.mesh import API_KEY, Mesh


@pytest.fixture
def mesh(database_url: str, tmp_path: Path) -> Iterator[Mesh]:
    """A running orchestrator with a data set `facts` and a model `base`."""
    settings = OrchestratorSettings(
        data_dir=tmp_path / "data", database_url=SecretStr(database_url), service_secret=SecretStr(SERVICE_SECRET),
        api_key=SecretStr(API_KEY), look_interval_s=0.05, retry_backoff_s=0.02, drain_patience_s=0.3, lease_s=2,
    )  # fmt: skip
    migrated(database_url, MIGRATIONS)
    with ExitStack() as stack:
        yield Mesh(settings, stack)


@pytest.fixture
def http(mesh: Mesh) -> httpx.Client:
    """A client with the admin key."""
    return mesh.http
