"""The log over a WebSocket."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from shared.contracts.problems import Problem, ProblemBody
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase


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
