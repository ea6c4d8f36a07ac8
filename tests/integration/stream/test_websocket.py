"""The log over a WebSocket."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from services.stream.app import create_app
from shared.contracts.problems import Problem, ProblemBody
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase, service_token
from tests.integration.stream.conftest import Delivery, settings_for
from tests.integration.stream.listening import WatchedProtocol, raw_socket
from tests.waiting import eventually


@contextmanager
def _socket(stream: StreamCaller, query: str = "", headers: dict[str, str] | None = None) -> Iterator[Connection]:
    address = f"{stream.url.replace('http', 'ws', 1)}/ws/metrics{query}"
    with connect(address, additional_headers=stream.headers if headers is None else headers, proxy=None) as socket:
        yield socket


def _hear(socket: Connection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=10))
    return message


def test_a_job_is_followed_to_its_end_and_the_socket_closes(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "p", 1, metrics(1, 2, 3, train_loss=0.25))
    with _socket(stream, f"?job_id={job}&after=1") as socket:
        assert _hear(socket) == {"message_type": "subscribed", "topic": f"job:{job}", "after": 1, "last_seq": 3}
        second = _hear(socket)
        assert second == {
            "message_type": "training_event", "topic": f"job:{job}", "event": "metrics_update",
            "event_type": "metrics_update", "timestamp": "2026-01-01T00:00:00.000000Z", "job_id": job, "attempt": 1,
            "seq": 2, "data": {"step": 2, "train_loss": 0.25},
        }  # fmt: skip
        assert _hear(socket)["seq"] == 3
        stream.append(job, "orchestrator", 1, [phase("stopped")])
        assert _hear(socket)["event"] == "phase_changed"
        assert _hear(socket) == {"message_type": "stream_end", "topic": f"job:{job}", "last_seq": 4}
        with pytest.raises(ConnectionClosedOK):
            socket.recv(timeout=10)


def test_one_socket_follows_many_topics_and_leaves_one(embedded: StreamCaller) -> None:
    jobs = [new_job() for _ in range(3)]
    with _socket(embedded) as socket:
        for job in jobs:
            socket.send(json.dumps({"action": "subscribe", "topic": f"job:{job}", "after": 0}))
            assert _hear(socket)["message_type"] == "subscribed"
        socket.send(json.dumps({"action": "unsubscribe", "topic": f"job:{jobs[0]}"}))
        assert _hear(socket)["message_type"] == "unsubscribed"
        for number, job in enumerate(jobs):
            embedded.append(job, "p", 1, metrics(number))
        heard = [_hear(socket) for _ in range(2)]
        assert {(message["topic"], message["seq"]) for message in heard} == {(f"job:{job}", 1) for job in jobs[1:]}


def test_who_asks_beyond_the_log_is_told_where_it_ends(embedded: StreamCaller) -> None:
    job = new_job()
    embedded.append(job, "p", 1, metrics(1))
    with _socket(embedded, f"?job_id={job}&after=9") as socket:
        assert _hear(socket) == {
            "message_type": "reset", "topic": f"job:{job}", "reason": "ahead_of_log", "last_seq": 1,
        }  # fmt: skip
        assert _hear(socket)["after"] == 1


@pytest.mark.parametrize(
    "message",
    [b"\x00\xff", "no json", "[]", '{"action":"drop","topic":"job:x"}', '{"action":"subscribe","topic":"../etc"}',
     '{"action":"subscribe","topic":"job:x","after":-1}', '{"action":"subscribe","topic":"job:x","after":1e999}',
     '{"a":' * 5000],
)  # fmt: skip
def test_a_bad_message_is_answered_and_the_socket_lives_on(embedded: StreamCaller, message: str | bytes) -> None:
    with _socket(embedded) as socket:
        socket.send(message)
        answer = _hear(socket)
        assert answer["message_type"] == "error"
        assert answer["error"]["type"] == "invalid_request_error"
        socket.send(json.dumps({"action": "subscribe", "topic": "project:x"}))
        assert _hear(socket)["message_type"] == "subscribed"


def _problem(refused: InvalidStatus) -> Problem:
    return ProblemBody.model_validate_json(refused.response.body).error


@pytest.mark.parametrize("query", ["?job_id=../x", "?after=x", "?after=-1"])
def test_a_malformed_address_is_refused(embedded: StreamCaller, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused, _socket(embedded, query):
        pass
    assert _problem(refused.value).param == query[1:].partition("=")[0]
    assert refused.value.response.status_code == 422


def test_a_socket_without_a_key_is_refused(embedded: StreamCaller) -> None:
    with pytest.raises(InvalidStatus) as refused, _socket(embedded, headers={}):
        pass
    assert _problem(refused.value).type == "authentication_error"
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["x-request-id"]


def test_a_socket_follows_a_bounded_number_of_topics(embedded: StreamCaller) -> None:
    with _socket(embedded) as socket:
        for number in range(64):
            socket.send(json.dumps({"action": "subscribe", "topic": f"project:n{number}"}))
            assert _hear(socket)["message_type"] == "subscribed"
        socket.send(json.dumps({"action": "subscribe", "topic": "project:one-more"}))
        assert _hear(socket)["error"]["code"] == "rate_limited"


def _subscribe(socket: Connection, *jobs: str) -> None:
    for job in jobs:
        socket.send(json.dumps({"action": "subscribe", "topic": f"job:{job}"}))
        assert _hear(socket)["message_type"] == "subscribed"


def test_sixty_four_topics_share_a_socket_and_none_waits_for_another(stream: StreamCaller) -> None:
    jobs = [new_job() for _ in range(64)]
    with _socket(stream) as socket:
        _subscribe(socket, *jobs)
        for job in jobs:
            stream.append(job, "p", 1, metrics(*range(1, 101), padding="x" * 400))
            stream.append(job, "orchestrator", 1, [phase("succeeded")])
        heard: dict[str, list[int]] = {f"job:{job}": [] for job in jobs}
        ended = 0
        while ended < 64:
            message = _hear(socket)
            if message["message_type"] == "stream_end":
                ended += 1
            else:
                heard[message["topic"]].append(message["seq"])
    assert set(map(tuple, heard.values())) == {tuple(range(1, 102))}


def test_a_topic_with_a_long_past_leaves_room_for_the_others(embedded: StreamCaller) -> None:
    long, short = new_job(), new_job()
    for first in range(1, 2001, 500):
        embedded.append(long, "p", first, metrics(*range(first, first + 500), padding="x" * 900))
    embedded.append(short, "p", 1, metrics(1))
    with _socket(embedded, f"?job_id={long}") as socket:
        assert _hear(socket)["message_type"] == "subscribed"
        socket.send(json.dumps({"action": "subscribe", "topic": f"job:{short}"}))
        order = [_hear(socket) for _ in range(2002)]
    topics = [message["topic"] for message in order if message["message_type"] == "training_event"]
    assert topics.count(f"job:{long}") == 2000
    assert topics.index(f"job:{short}") < 1000


def test_a_second_subscription_starts_over(embedded: StreamCaller) -> None:
    job = new_job()
    embedded.append(job, "p", 1, metrics(1, 2))
    with _socket(embedded, f"?job_id={job}&after=1") as socket:
        assert [_hear(socket).get("seq") for _ in range(2)] == [None, 2]
        _subscribe(socket, job)
        assert [_hear(socket)["seq"] for _ in range(2)] == [1, 2]


def test_a_socket_is_shown_to_live_and_asked_to_come_again(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, heartbeat_s=0.05, max_life_s=0.5))
    job = new_job()
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        caller.append(job, "p", 1, metrics(1))
        with _socket(caller, f"?job_id={job}") as socket:
            said = [json.loads(message) for message in socket]
            assert socket.close_code == 1001
        assert [message["message_type"] for message in said[:3]] == ["subscribed", "training_event", "heartbeat"]
        assert said[-1] == {
            "message_type": "farewell", "reason": "life_cap", "retry_ms": said[-1]["retry_ms"],
            "topics": {f"job:{job}": 1},
        }  # fmt: skip
        eventually(lambda: app.state.stream.fanout.listeners == 0)


def _open_by_hand(raw: socket.socket, job: str) -> None:
    raw.sendall(
        f"GET /ws/metrics?job_id={job} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service_token()}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )


def test_a_socket_that_takes_nothing_holds_little_and_is_let_go(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, send_timeout_s=2, ring_events=8))
    job = new_job()
    held = []
    with delivery.serve(app) as url, StreamCaller(url) as caller, raw_socket(url) as deaf:
        _open_by_hand(deaf, job)
        eventually(lambda: app.state.stream.fanout.listeners == 1)
        (transport,) = [one for one in WatchedProtocol.transports if not one.is_closing()]
        for first in range(1, 1001, 50):
            caller.append(job, "p", first, metrics(*range(first, first + 50), padding="z" * 20_000))
            held.append(transport.get_write_buffer_size())
        eventually(lambda: app.state.stream.fanout.listeners == 0)
        assert transport.is_closing()
    assert 0 < max(held) <= 64 * 1024
