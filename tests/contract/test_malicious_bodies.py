"""Raw bytes that no honest client sends: always a 4xx in the one error body, never a 5xx, never an echo."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from orchestrator.app import create_app
from orchestrator.domain.peers import Peers
from orchestrator.settings import OrchestratorSettings
from shared.contracts.problems import ProblemBody
from tests.conftest import SERVICE_SECRET
from tests.fakes.stream import FakeStream
from tests.fakes.worker import FakeWorker
from tests.live_server import live_server

KEY = "imts-key-for-malice"
ROUTES = ("/api/training/jobs", "/api/analysis/jobs", "/api/evaluation/jobs", "/api/models/tiny")
SECRET = "sk-do-not-echo-me"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a running orchestrator whose services are all away."""
    folder: Path = tmp_path_factory.mktemp("orchestrator")
    settings = OrchestratorSettings(data_dir=folder, service_secret=SecretStr(SERVICE_SECRET), api_key=SecretStr(KEY))
    workers = {name: FakeWorker(name) for name in ("training", "analyzer", "evaluator")}
    with live_server(create_app(settings, Peers(workers, FakeStream()))) as url:
        headers = {"authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
            yield client


def _spec(**fields: object) -> bytes:
    return json.dumps({"modelName": "base", "dataset": "facts", **fields}).encode()


def _raw(field: str, value: str) -> bytes:
    return b'{"modelName":"base","dataset":"facts","' + field.encode() + b'":' + value.encode() + b"}"


CASES: dict[str, tuple[bytes, int, str | None]] = {
    "NaN": (_raw("learningRate", "NaN"), 422, "learningRate"),
    "Infinity": (_raw("learningRate", "-Infinity"), 422, "learningRate"),
    "a float beyond range": (_raw("learningRate", "1e999"), 422, "learningRate"),
    "a lone surrogate": (_raw("modelName2", '"\\ud800"'), 422, "modelName2"),
    "a lone surrogate in a name": (b'{"modelName":"\\ud800","dataset":"facts"}', 422, "modelName"),
    "a NUL in a name": (b'{"modelName":"a\\u0000b","dataset":"facts"}', 422, "modelName"),
    "an unknown field": (_spec(apiKey=SECRET), 422, "apiKey"),
    "an engine's switch": (_spec(trust_remote_code=True), 422, "trust_remote_code"),
    "a path of the server's": (_spec(output_dir="/etc"), 422, "output_dir"),
    "true as a number": (_raw("epochs", "true"), 422, "epochs"),
    "text as a number": (_raw("batchSize", '"4"'), 422, "batchSize"),
    "a fraction as a count": (_raw("batchSize", "2.5"), 422, "batchSize"),
    "an enormous count": (_raw("batchSize", "9" * 30), 422, "batchSize"),
    "a 5,000-digit integer": (_raw("batchSize", "9" * 5000), 400, None),
    "nesting": (b"[" * 100_000 + b"]" * 100_000, 400, None),
    "a duplicate key": (b'{"modelName":"a","modelName":"b","dataset":"c"}', 400, None),
    "UTF-16": (_spec().decode().encode("utf-16"), 400, None),
    "bytes that are no text": (b"\xff\xfe\x00\x80", 400, None),
    "half a body": (_spec()[:-5], 400, None),
    "no body": (b"", 422, None),
    "an empty object": (b"{}", 422, None),
    "a list": (b"[]", 422, None),
    "null": (b"null", 422, None),
    "text": (b'"text"', 422, None),
    "a path as a name": (_spec(dataset="../../etc/passwd"), 422, "dataset"),
    "an absolute path as a name": (_spec(dataset="/etc/passwd"), 422, "dataset"),
    "a URL as a name": (_spec(dataset="https://evil.example/d"), 422, "dataset"),
    "a switch as a name": (_spec(dataset="-rf"), 422, "dataset"),
    "arguments as a name": (_spec(dataset="a b trust_remote_code=true"), 422, "dataset"),
    "a very long name": (_spec(dataset="d" * 300), 422, "dataset"),
    "an interpolation as a name": (_spec(dataset="${oc.env:SECRET}"), 422, "dataset"),
    "10 MB": (b'{"modelName":"' + b"a" * 10_000_000 + b'"}', 413, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_body_is_refused_by_name(http: httpx.Client, case: str) -> None:
    body, status, param = CASES[case]
    answer = http.post(ROUTES[0], content=body, headers={"content-type": "application/json"})
    problem = ProblemBody.model_validate_json(answer.content).error
    assert (answer.status_code, problem.param) == (status, param) if param else answer.status_code == status
    assert SECRET not in answer.text
    assert len(answer.content) < 4096
    assert problem.message


@pytest.mark.parametrize("route", ROUTES[1:])
@pytest.mark.parametrize("case", CASES)
def test_no_route_answers_a_bad_body_with_a_fault_of_ours(http: httpx.Client, route: str, case: str) -> None:
    answer = http.post(route, content=CASES[case][0], headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert ProblemBody.model_validate_json(answer.content).error.code
    assert SECRET not in answer.text


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_json_under_another_name_is_refused(http: httpx.Client, media_type: str) -> None:
    answer = http.post(ROUTES[0], content=_spec(), headers={"content-type": media_type})
    assert answer.status_code == 415


def test_a_body_without_an_end_is_cut_at_the_limit(http: httpx.Client) -> None:
    def drip() -> Iterator[bytes]:
        for _ in range(64):
            yield b"[" * 65_536

    assert http.post(ROUTES[0], content=drip(), headers={"content-type": "application/json"}).status_code == 413


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "b" * 5000])
def test_a_multipart_body_with_a_broken_boundary_is_refused(http: httpx.Client, boundary: str) -> None:
    answer = http.post("/api/datasets", content=b"x", headers={"content-type": "multipart/form-data" + boundary})
    assert answer.status_code == 400
    assert ProblemBody.model_validate_json(answer.content).error.code == "malformed_request"


def test_a_broken_cursor_is_not_called_a_name(http: httpx.Client) -> None:
    problem = ProblemBody.model_validate_json(http.get("/api/jobs?cursor=x").content).error
    assert "not a valid id" in problem.message


PATHS = {
    "dots": "/api/training/jobs/..%2f..%2fetc%2fpasswd",
    "encoded dots": "/api/training/jobs/%2e%2e",
    "twice encoded": "/api/jobs/%252e%252e%252f",
    "a NUL": "/api/jobs/job-%00",
    "a line break": "/api/jobs/a%0d%0aX:%201/logs",
    "a backslash": "/api/jobs/..%5c..%5cx",
    "not ASCII": "/api/jobs/%E4%BD%A0%E5%A5%BD",
    "no text": "/api/jobs/%ff%fe",
    "an attempt for a job": "/api/jobs/job-00000000000000000000000000.1",
    "a very long id": "/api/jobs/" + "x" * 4000,
    "somebody else's artifact": "/api/jobs/job-00000000000000000000000000/artifacts/..%2f..%2fx",
}


@pytest.mark.parametrize("case", PATHS)
def test_an_address_that_names_nothing_is_not_found(http: httpx.Client, case: str) -> None:
    answer = http.get(PATHS[case])
    assert answer.status_code == 404
    assert ProblemBody.model_validate_json(answer.content).error.type == "not_found_error"


@pytest.mark.parametrize(
    "query",
    [
        "status=sleeping",
        "limit=0",
        "limit=1e3",
        "limit=99999999999999999999",
        "cursor=job-1",
        "cursor=%00",
        "project=..%2f",
        "project=%f0%9f%92%a9",
    ],
)
def test_a_bad_filter_is_refused(http: httpx.Client, query: str) -> None:
    answer = http.get(f"/api/training/jobs?{query}")
    assert answer.status_code == 422
    assert ProblemBody.model_validate_json(answer.content).error.param == query.partition("=")[0]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel"])
def test_a_bad_idempotency_key_is_refused(http: httpx.Client, key: str) -> None:
    headers = {b"idempotency-key": key.encode("latin-1"), b"content-type": b"application/json"}
    answer = http.post(ROUTES[0], content=_spec(), headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer schlüssel", "Bearer a.b.c", "bearer x"])
def test_a_bad_credential_is_unauthenticated(http: httpx.Client, header: str) -> None:
    answer = http.get("/api/jobs", headers={b"authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert ProblemBody.model_validate_json(answer.content).error.type == "authentication_error"


def test_nothing_was_written_down(http: httpx.Client) -> None:
    assert http.get("/api/jobs").json()["data"] == []
