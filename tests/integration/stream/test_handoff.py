"""Sockets given away: the head, the end of connections, and what listeners at different places are sent."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol
from services.stream.wiring import Stream
from shared.kit.auth import ServiceTokens
from tests.conftest import SERVICE_SECRET
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase
from tests.integration.stream.conftest import Delivery, settings_for
from tests.live_server import live_server
from tests.waiting import eventually


@contextmanager
def _raw(url: str, job: str, after: int = 0, token: str = "") -> Iterator[socket.socket]:
    """A listener with a small receive buffer that reads when it is told to."""
    address = urlsplit(url)
    bearer = token or ServiceTokens("tester", SERVICE_SECRET).issue("stream")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(20)
        raw.connect((address.hostname, address.port))
        head = f"GET /api/stream/metrics?job_id={job}&after={after} HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(f"{head}Authorization: Bearer {bearer}\r\n\r\n".encode())
        yield raw


def _rest(raw: socket.socket) -> bytes:
    found = bytearray()
    while data := raw.recv(65_536):
        found += data
    return bytes(found)


def _ids(wire: bytes) -> list[int]:
    return [int(line[4:]) for line in wire.split(b"\n") if line.startswith(b"id: ")]


@pytest.fixture(params=["uvloop", "asyncio"])
def app_and_caller(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stream, StreamCaller]]:
    """A service that gives its sockets away, on either loop."""
    app = create_app(settings_for("", tmp_path, ring_events=8, send_timeout_s=30))
    with live_server(app, http=HandoffProtocol, loop=request.param) as url, StreamCaller(url) as caller:
        yield app.state.stream, caller


def test_the_answer_has_its_head_and_lasts_as_long_as_the_connection(
    app_and_caller: tuple[Stream, StreamCaller],
) -> None:
    stream, caller = app_and_caller
    job = new_job()
    caller.append(job, "p", 1, metrics(1))
    with _raw(caller.url, job) as raw:
        eventually(lambda: len(list(stream.hub.listeners)) == 1)
        caller.append(job, "orchestrator", 1, [phase("stopped")])
        head, _, body = _rest(raw).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    fields = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert {b"content-type", b"cache-control", b"connection", b"date", b"x-request-id"} <= fields
    assert b"transfer-encoding" not in fields
    assert body.endswith(b'event: stream_end\ndata: {"last_seq": 2}\n\n')
    assert 'mesh_http_requests_total{method="GET",route="/api/stream/metrics"' in caller.http.get("/metrics").text
    eventually(lambda: not list(stream.hub.listeners))


def test_a_large_event_reaches_slow_and_quick_readers_whole(app_and_caller: tuple[Stream, StreamCaller]) -> None:
    stream, caller = app_and_caller
    job = new_job()
    with _raw(caller.url, job) as slow, _raw(caller.url, job) as quick:
        eventually(lambda: len(list(stream.hub.listeners)) == 2)
        for first in range(1, 181, 60):
            events = metrics(*range(first, first + 60), padding="x" * 60_000)
            assert caller.append(job, "p", first, events).status_code == 200
        caller.append(job, "orchestrator", 1, [phase("succeeded")])
        eventually(lambda: any(listener.is_paused for listener in stream.hub.listeners))
        held = [listener.transport.get_write_buffer_size() for listener in stream.hub.listeners]
        assert max(held) <= 64 * 1024
        wires = [_rest(quick), _rest(slow)]
    for wire in wires:
        assert _ids(wire) == list(range(1, 182))
        bodies = [json.loads(line[6:]) for line in wire.split(b"\n") if line.startswith(b"data: ")]
        assert [len(body["data"].get("padding", "")) for body in bodies[:-1]] == [60_000] * 180 + [0]


def test_listeners_at_many_places_are_each_sent_what_they_missed(app_and_caller: tuple[Stream, StreamCaller]) -> None:
    _, caller = app_and_caller
    job = new_job()
    caller.append(job, "p", 1, metrics(*range(1, 701), padding="x" * 300))
    with _raw(caller.url, job, 0) as a, _raw(caller.url, job, 3) as b, _raw(caller.url, job, 690) as c:
        caller.append(job, "p", 701, metrics(*range(701, 1001)))
        caller.append(job, "orchestrator", 1, [phase("failed")])
        assert [_ids(_rest(raw)) for raw in (a, b, c)] == [list(range(n, 1002)) for n in (1, 4, 691)]


def test_a_stopping_server_says_farewell(tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path))
    job = new_job()
    with live_server(app, http=HandoffProtocol) as url:
        stream = app.state.stream
        with_socket = _raw(url, job)
        raw = with_socket.__enter__()
        eventually(lambda: len(list(stream.hub.listeners)) == 1)
    assert b'event: farewell\ndata: {"reason": "shutting_down", "last_seq": 0}\n\n' in _rest(raw)
    with_socket.__exit__(None, None, None)


def test_a_stream_open_for_long_is_closed_with_a_farewell(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, max_life_s=0.3, heartbeat_s=0.1, farewell_retry_ms=1000))
    job = new_job()
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        caller.append(job, "p", 1, metrics(1))
        first, last = caller.events(job)
        assert (first.id, last.event, json.loads(last.data)) == ("1", "farewell", {"reason": "life_cap", "last_seq": 1})
        assert last.retry is not None
        assert 500 <= last.retry <= 2000
        caller.append(job, "orchestrator", 1, [phase("failed")])
        assert [event.event for event in caller.events(job, last_event_id="1")] == ["phase_changed", "stream_end"]


def test_nobody_without_a_key_is_handed_over(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path))
    with delivery.serve(app) as url, _raw(url, new_job(), token="service.wrong.wrong.wrong") as raw:
        assert raw.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_requests_one_behind_the_other_are_answered_through_asgi(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, max_life_s=0.2, heartbeat_s=0.1))
    with delivery.serve(app) as url, _raw(url, new_job()) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"event: farewell" in _rest(raw)


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, handoff=False))
    job = new_job()
    with live_server(app, http=HandoffProtocol) as url, StreamCaller(url) as caller:
        caller.append(job, "p", 1, metrics(1))
        with caller.listen(job) as events:
            assert next(events).id == "1"
            assert not list(app.state.stream.hub.listeners)
