"""The orchestrator on a real server with no other service beside it: what data sets, models and keys need."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from orchestrator.app import create_app
from orchestrator.db.engine import MIGRATIONS
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import Wiring
from shared.kit.auth import ServiceTokens
from tests.conftest import SERVICE_SECRET
from tests.databases import migrated
from tests.live_server import live_server

KEY = "imts-test-key"
MAX_UPLOAD = 4 << 20
NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens."""


@dataclass
class Registry:
    """A running orchestrator, as a user and as a service of the mesh."""

    user: httpx.Client
    service: httpx.Client
    wiring: Wiring
    folder: Path

    def upload(
        self, content: bytes | str, name: str = "numbers", filename: str = "a.jsonl", **fields: Any
    ) -> httpx.Response:
        """POST /api/datasets."""
        return self.user.post("/api/datasets", files={"file": (filename, content)}, data={"name": name, **fields})

    def leftovers(self) -> list[Path]:
        """Whatever uploads left in the scratch folder."""
        return list((self.folder / "scratch").rglob("*"))


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error body of a refusal."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    found: dict[str, Any] = response.json()["error"]
    return found


def _caller(url: str, credential: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {credential}"}, timeout=30, trust_env=False)


@contextmanager
def running_registry(database_url: str, folder: Path, key: str = KEY, **more: Any) -> Iterator[Registry]:
    """An orchestrator on a database and a folder."""
    nobody = dict.fromkeys(("training_url", "analyzer_url", "evaluator_url", "stream_url"), NOBODY)
    settings = OrchestratorSettings(
        service_secret=SecretStr(SERVICE_SECRET), api_key=SecretStr(key), database_url=SecretStr(database_url),
        data_dir=folder, max_upload_bytes=MAX_UPLOAD, threads=8, **{**nobody, **more},
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    migrated(settings.database, MIGRATIONS)
    app = create_app(settings)
    token = ServiceTokens("stream", SERVICE_SECRET).issue("orchestrator")
    with (
        live_server(app) as url,
        httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30, trust_env=False) as user,
        httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        ) as service,
    ):
        yield Registry(user, service, app.state.wiring, folder)
