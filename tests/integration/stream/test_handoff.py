"""Sockets given away: the answer's head, the probe at start, and when nothing is given away."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from loguru import logger

from services.stream import handoff
from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase
from tests.integration.stream.conftest import Delivery, settings_for
from tests.integration.stream.listening import raw_listener, rest_of
from tests.live_server import live_server
from tests.waiting import eventually

BY_ASGI = b"transfer-encoding: chunked"


def test_the_answer_has_its_head_and_lasts_as_long_as_the_connection(tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path))
    job = new_job()
    with live_server(app, http=HandoffProtocol) as url, StreamCaller(url) as caller:
        with raw_listener(url, job) as raw:
            eventually(lambda: len(list(app.state.stream.hub.listeners)) == 1)
            caller.append(job, "orchestrator", 1, [phase("stopped")])
            head, _, body = rest_of(raw).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        fields = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
        assert {b"content-type", b"cache-control", b"connection", b"date", b"x-request-id"} <= fields
        assert not {b"transfer-encoding", b"content-length"} & fields
        assert body.endswith(b'event: stream_end\ndata: {"last_seq": 1}\n\n')
        assert 'mesh_http_requests_total{method="GET",route="/api/stream/metrics"' in caller.http.get("/metrics").text
        eventually(lambda: not list(app.state.stream.hub.listeners))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_the_probe_finds_what_it_needs(run: Callable[[Coroutine[Any, Any, bool]], bool]) -> None:
    assert run(handoff.works())


async def _lost(*_: object) -> bool:
    return False


async def _renamed(*_: object) -> bool:
    raise AttributeError("cycle has no such thing")


@pytest.mark.parametrize(("name", "value"), [("hand_over", _lost), ("hand_over", _renamed), ("can_hand_over", False)])
def test_the_probe_notices_what_is_missing(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HandoffProtocol, name, value)
    assert not asyncio.run(handoff.works())


def test_a_server_without_it_serves_by_the_fallback_and_says_so_once(tmp_path: Path) -> None:
    said: list[str] = []
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    app = create_app(settings_for("", tmp_path))
    job = new_job()
    try:
        with Delivery(is_handed_over=False, loop="uvloop").serve(app) as url, StreamCaller(url) as caller:
            caller.append(job, "p", 1, metrics(1))
            for _ in range(3):
                with caller.listen(job) as events:
                    assert next(events).id == "1"
                    assert not list(app.state.stream.hub.listeners)
    finally:
        logger.remove(sink)
    assert said == ["this server does not give sockets away; SSE goes through ASGI, a task a listener"]


def test_another_server_is_served_through_asgi(tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path))
    job = new_job()
    with live_server(app) as url, StreamCaller(url) as caller, raw_listener(url, job) as raw:
        eventually(lambda: app.state.stream.fanout.listeners == 1)
        caller.append(job, "orchestrator", 1, [phase("stopped")])
        wire = rest_of(raw)
    assert BY_ASGI in wire


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, handoff=False))
    job = new_job()
    with live_server(app, http=HandoffProtocol) as url, StreamCaller(url) as caller:
        caller.append(job, "p", 1, metrics(1))
        with caller.listen(job) as events:
            assert next(events).id == "1"
            assert not list(app.state.stream.hub.listeners)


def test_requests_one_behind_the_other_are_answered_through_asgi(tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, max_life_s=0.2, heartbeat_s=0.1))
    with live_server(app, http=HandoffProtocol) as url, raw_listener(url, new_job(), connection="keep-alive") as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wire = rest_of(raw)
    assert BY_ASGI in wire
    assert b"event: farewell" in wire
