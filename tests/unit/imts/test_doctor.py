"""What the doctor says about folders, services and limits."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from imts.doctor import folder as data_folder
from imts.doctor import services
from imts.up.folder import DataFolder
from imts.up.keys import admin_key, service_secret
from imts.up.lock import held
from shared.contracts.checkup import Finding, Health, by_limits


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.make()
    admin_key(made, "")
    service_secret(made)
    return made


def found(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_fresh_folder_is_fine_and_the_mesh_is_down(folder: DataFolder) -> None:
    told = found(data_folder.look(folder))
    assert told["permissions"].health is told["ownership"].health is Health.OK
    assert (told["mesh"].health, told["mesh"].says) == (Health.WARN, "is down")
    assert "imts up" in told["mesh"].action


def test_keys_that_others_can_read_are_a_fault_with_its_cure(folder: DataFolder) -> None:
    folder.key_file.chmod(0o644)
    told = found(data_folder.look(folder))["permissions"]
    assert told.health is Health.FAIL
    assert told.action == f"chmod go-rwx {folder.key_file}"


def test_an_up_that_holds_the_folder_is_seen_and_its_missing_services_named(folder: DataFolder) -> None:
    with held(folder):
        told = found(data_folder.look(folder))["mesh"]
    assert told.health is Health.WARN
    assert "without analyzer, evaluator, orchestrator, stream, training" in told.says
    assert found(data_folder.look(folder))["mesh"].says == "is down"


def test_a_full_disk_is_a_fault(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, health in ((500_000_000, Health.FAIL), (5_000_000_000, Health.WARN), (50_000_000_000, Health.OK)):
        usage = type("Usage", (), {"free": free, "total": 100_000_000_000})
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        assert found(data_folder.look(folder))["disk"].health is health


def test_a_forgotten_drain_marker_is_told_while_the_mesh_is_up(folder: DataFolder) -> None:
    folder.service("training").mkdir()
    folder.drain_marker("training").touch()
    assert "training drain marker" not in found(data_folder.look(folder))
    with held(folder):
        assert found(data_folder.look(folder))["training drain marker"].health is Health.WARN


@contextmanager
def answering(status: int, body: Any, date: str | None = None) -> Iterator[str]:
    """A service that says one thing."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", date or self.date_time_string())
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            return None

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_services_are_judged_by_their_own_words() -> None:
    waiting = {"error": {"message": "waiting for analyzer", "details": {"peers": [
        {"name": "analyzer", "circuit": "open", "silent_for_s": 12.5}, {"name": "stream", "circuit": "closed"},
    ]}}}  # fmt: skip
    old = {"status": "ready", "version": "0.0.1"}
    with answering(503, waiting) as not_ready, answering(200, old) as ready:
        told = found(services.look({"orchestrator": not_ready, "stream": ready, "training": "http://127.0.0.1:9"}))
    assert told["orchestrator"].health is Health.FAIL
    assert told["orchestrator"].says == "is not ready: waiting for analyzer"
    assert told["stream"].health is Health.OK
    assert told["training"].health is Health.FAIL
    assert "stream 0.0.1" in told["versions"].says
    assert told["circuits"].says == "orchestrator has not heard analyzer for 12.5 s"
    assert told["clocks"].health is Health.OK


def test_a_clock_that_is_wrong_is_told() -> None:
    with answering(200, {"version": "1"}, "Fri, 02 Jan 2026 03:04:05 GMT") as url:
        assert found(services.look({"stream": url}))["clocks"].health is Health.FAIL


def test_a_port_that_is_taken_is_named() -> None:
    with answering(200, {}) as url:
        port = int(url.rpartition(":")[2])
        told = found(services.ports_free("127.0.0.1", {"stream": port}))
    assert told["stream port"].health is Health.FAIL
    assert str(port) in told["stream port"].says


@pytest.mark.parametrize(("value", "health"), [(1.0, Health.OK), (2.0, Health.WARN), (9.0, Health.FAIL)])
def test_limits_are_three_answers(value: float, health: Health) -> None:
    assert by_limits("x", value, 1.0, 5.0, "says", "do").health is health
