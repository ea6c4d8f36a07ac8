"""Tickets: one topic, the live routes, a minute."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from shared.kit.auth import ServiceTokens, Tickets
from tests.conftest import SERVICE_SECRET
from tests.integration.stream.client import StreamCaller, code_of, metrics, new_job, phase, service_token
from tests.integration.stream.test_websocket import _hear, _socket


@pytest.fixture
def job(embedded: StreamCaller) -> str:
    """A job that has ended."""
    job = new_job()
    embedded.append(job, "p", 1, metrics(1, 2))
    embedded.append(job, "orchestrator", 1, [phase("succeeded")])
    return job


@pytest.fixture
def stranger(embedded: StreamCaller) -> Iterator[httpx.Client]:
    """Somebody without a header, as a browser's EventSource is."""
    with httpx.Client(base_url=embedded.url, timeout=10) as http:
        yield http


def _ticket(stream: StreamCaller, job: str) -> str:
    answer = stream.http.post(f"/v1/topics/job:{job}/tickets")
    assert answer.status_code == 201
    ticket: str = answer.json()["ticket"]
    return ticket


def test_a_ticket_opens_its_topics_streams(embedded: StreamCaller, stranger: httpx.Client, job: str) -> None:
    ticket = _ticket(embedded, job)
    for path, query in [("/api/stream/metrics", {"job_id": job}), (f"/v1/topics/job:{job}/stream", {})]:
        answer = stranger.get(path, params={**query, "ticket": ticket})
        assert answer.status_code == 200
        assert "event: stream_end" in answer.text
    with _socket(embedded, f"?job_id={job}&ticket={ticket}", {}) as socket:
        assert [_hear(socket)["message_type"] for _ in range(5)][-1] == "stream_end"


_SERVE = """
import sys
from pathlib import Path
from services.stream.app import create_app
from shared.kit.logs import configure_logs
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server
configure_logs("stream", "DEBUG", "text")
with live_server(create_app(settings_for("", Path(sys.argv[1])))) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def test_a_ticket_is_never_logged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SERVE, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        with StreamCaller(process.stdout.readline().strip()) as caller:
            job = new_job()
            ticket = _ticket(caller, job)
            with _socket(caller, f"?job_id={job}&ticket={ticket}", {}) as socket:
                assert _hear(socket)["message_type"] == "subscribed"
            caller.append(job, "orchestrator", 1, [phase("succeeded")])
            with httpx.Client(base_url=caller.url) as http:
                assert http.get("/api/stream/metrics", params={"job_id": job, "ticket": ticket}).is_success
                assert http.get("/api/stream/metrics", params={"job_id": new_job(), "ticket": ticket}).is_error
        _, said = process.communicate("")
    assert "Started server process" in said
    assert ticket not in said


def test_a_ticket_opens_nothing_else(embedded: StreamCaller, stranger: httpx.Client, job: str) -> None:
    query = {"job_id": job, "ticket": _ticket(embedded, job)}
    for path in ("/api/metrics/current", "/api/metrics/history", f"/v1/topics/job:{job}/events", "/metrics"):
        assert code_of(stranger.get(path, params=query)) == (401, "unauthenticated")
    assert code_of(stranger.post(f"/v1/topics/job:{job}/tickets", params=query)) == (401, "unauthenticated")
    other = {"job_id": new_job(), "ticket": query["ticket"]}
    assert code_of(stranger.get("/api/stream/metrics", params=other)) == (403, "forbidden")
    bearer = {"authorization": f"Bearer {query['ticket']}"}
    # Taken for a person's key, and the directory that would know it is away.
    assert code_of(stranger.get("/api/metrics/current", params=query, headers=bearer)) == (503, "peer_unavailable")


def test_a_socket_with_a_ticket_follows_its_topic_only(embedded: StreamCaller, job: str) -> None:
    with _socket(embedded, f"?ticket={_ticket(embedded, job)}", {}) as socket:
        socket.send('{"action":"subscribe","topic":"job:other"}')
        assert _hear(socket)["error"]["code"] == "forbidden"
        socket.send(f'{{"action":"subscribe","topic":"job:{job}"}}')
        assert _hear(socket)["message_type"] == "subscribed"


def test_what_is_no_ticket_of_this_service_is_refused(stranger: httpx.Client, job: str) -> None:
    topic = f"job:{job}"
    refused = {
        "expired": Tickets("stream", SERVICE_SECRET, lambda: time.time() - 61).issue(topic, "me")[0],
        "another service's": Tickets("training", SERVICE_SECRET).issue(topic, "me")[0],
        "another secret's": Tickets("stream", "another-secret-another-secret-another").issue(topic, "me")[0],
        "a service token": ServiceTokens("tester", SERVICE_SECRET).issue("stream"),
        "nonsense": "nonsense",
    }
    for ticket in refused.values():
        answer = stranger.get("/api/stream/metrics", params={"job_id": job, "ticket": ticket})
        assert code_of(answer) == (401, "unauthenticated")
        assert ticket not in answer.text


def test_a_ticket_is_good_until_it_expires_and_not_after() -> None:
    now = [1000.0]
    tickets = Tickets("stream", SERVICE_SECRET, lambda: now[0])
    ticket, expires = tickets.issue("job:x", "me")
    assert expires == 1060
    now[0] = 1059.9
    assert tickets.verify(ticket).only_topic == "job:x"
    now[0] = 1060.0
    with pytest.raises(Exception, match="expired"):
        tickets.verify(ticket)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_gets_no_socket(embedded: StreamCaller, job: str, origin: str) -> None:
    address = f"{embedded.url.replace('http', 'ws', 1)}/ws/metrics?job_id={job}"
    headers: Any = {"authorization": f"Bearer {service_token()}", "origin": origin}
    with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=headers, proxy=None):
        pass
    assert refused.value.response.status_code == 403


def test_the_services_own_page_gets_a_socket(embedded: StreamCaller, job: str) -> None:
    headers = {"origin": embedded.url, **embedded.headers}
    with _socket(embedded, f"?job_id={job}", headers) as socket:
        assert _hear(socket)["message_type"] == "subscribed"
