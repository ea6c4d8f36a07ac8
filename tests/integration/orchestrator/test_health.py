"""When the orchestrator calls itself ready."""

from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from orchestrator.app import create_app
from orchestrator.domain.peers import Peers
from orchestrator.settings import OrchestratorSettings
from shared.kit.errors import Unavailable
from tests.conftest import SERVICE_SECRET
from tests.fakes.stream import FakeStream
from tests.fakes.worker import FakeWorker
from tests.integration.orchestrator.mesh import Mesh
from tests.live_server import live_server


def test_it_is_ready_once_it_has_met_everyone_and_stays_so(tmp_path: Path) -> None:
    settings = OrchestratorSettings(data_dir=tmp_path, service_secret=SecretStr(SERVICE_SECRET))
    workers = {name: FakeWorker(name) for name in ("training", "analyzer", "evaluator")}
    workers["analyzer"].is_silent = True
    with live_server(create_app(settings, Peers(workers, FakeStream()))) as url:
        early = httpx.get(f"{url}/readyz")
        assert early.status_code == 503
        assert early.json()["error"]["message"] == "waiting for analyzer"
        workers["analyzer"].is_silent = False
        assert httpx.get(f"{url}/readyz").status_code == 200
        workers["training"].is_silent = True
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_without_a_key_nothing_but_health_is_told(tmp_path: Path) -> None:
    settings = OrchestratorSettings(data_dir=tmp_path, service_secret=SecretStr(SERVICE_SECRET))
    with live_server(create_app(settings)) as url:
        paths = httpx.get(f"{url}/openapi.json").json()["paths"]
        for path, operations in paths.items():
            if path in {"/healthz", "/readyz"}:
                continue
            for method in operations:
                answer = httpx.request(method, url + path.replace("{", "").replace("}", ""))
                assert answer.status_code == 401, (method, path)


def test_a_database_that_is_away_is_an_outage_and_no_fault(mesh: Mesh) -> None:
    def away(_: object) -> None:
        raise OperationalError("SELECT 1", {}, ConnectionError(2003, "no route to the database"))

    with pytest.raises(Unavailable) as outage:
        mesh.wiring.units.read(away)
    assert outage.value.retryable
    assert mesh.http.get("/api/jobs").status_code == 200


def test_readyz_names_the_peers_that_do_not_answer(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    settings = OrchestratorSettings(
        data_dir=tmp_path, service_secret=SecretStr(SERVICE_SECRET), training_url=nobody, analyzer_url=nobody,
        evaluator_url=nobody, stream_url=nobody,
    )  # fmt: skip
    with live_server(create_app(settings)) as url:
        for _ in range(5):
            assert httpx.get(f"{url}/readyz").status_code == 503
        peers = httpx.get(f"{url}/readyz").json()["error"]["details"]["peers"]
    assert {peer["name"] for peer in peers} == {"training", "analyzer", "evaluator", "stream"}
    assert {peer["circuit"] for peer in peers} == {"open"}
