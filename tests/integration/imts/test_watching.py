"""Following a job over SSE through cut connections."""

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from imts.client import Client, ImtsApiError, ServerUnreachable
from imts.client.errors import ClientError
from imts.client.watching import EventStream
from tests.integration.imts.fake_server import (
    JOB_ID,
    STREAM_END,
    Asked,
    FakeServer,
    closed_url,
    event,
    open_stream,
    problem,
    sse,
)

ROUTE = ("GET", "/api/stream/metrics")
LOG = [event(seq, step=seq) for seq in range(1, 10)]


def cut_every(count: int) -> Any:
    """A stream service that sends `count` events past the cursor, then cuts the connection in mid-event."""

    def answer(asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        cursor = int(asked.headers.get("last-event-id", "0"))
        rest = LOG[cursor : cursor + count]
        is_all = cursor + count >= len(LOG)
        open_stream(handler, b": hello\n\n", sse(*rest), STREAM_END if is_all else sse(LOG[cursor])[:25])

    return answer


def test_events_come_once_and_in_order_however_often_the_connection_is_cut(server: FakeServer) -> None:
    server.answers[ROUTE] = cut_every(2)
    events = list(EventStream(server.url, "imts-key", sleep=lambda _: None).follow_job(JOB_ID))
    assert [event.seq for event in events] == list(range(1, 10))
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "2", "4", "6", "8"]
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer imts-key"}


def test_a_server_that_repeats_events_is_not_repeated(server: FakeServer) -> None:
    answers = iter([sse(*LOG[:3]), sse(*LOG[:5]) + STREAM_END])
    server.answers[ROUTE] = lambda _, handler: open_stream(handler, next(answers))
    events = list(EventStream(server.url, "k", sleep=lambda _: None).follow_job(JOB_ID))
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]


def test_watching_starts_after_a_given_event(server: FakeServer, client: Client) -> None:
    server.answers[ROUTE] = cut_every(9)
    assert [event.seq for event in client.watch(JOB_ID, after=6)] == [7, 8, 9]


def test_a_restarting_server_is_waited_for(server: FakeServer) -> None:
    pauses: list[float] = []

    def recover(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 3:
            server.answers[ROUTE] = cut_every(9)

    server.answers[ROUTE] = 503, problem("starting", "not yet")
    events = list(EventStream(server.url, "k", sleep=recover).follow_job(JOB_ID))
    assert len(events) == 9
    assert all(0 < pause < 1 for pause in pauses)


def test_a_log_shorter_than_what_was_seen_is_followed_from_its_end(server: FakeServer) -> None:
    reset = b'id: 2\nevent: reset\ndata: {"reason": "ahead_of_log", "last_seq": 2}\n\n'
    server.answers[ROUTE] = lambda _, handler: open_stream(handler, reset, sse(event(3, step=3)), STREAM_END)
    events = list(EventStream(server.url, "k", sleep=lambda _: None).follow_job(JOB_ID, after=9))
    assert [event.seq for event in events] == [3]


def test_a_deleted_log_is_said_to_be_gone(server: FakeServer) -> None:
    reset = b'id: 0\nevent: reset\ndata: {"reason": "deleted", "last_seq": 0}\n\n'
    server.answers[ROUTE] = lambda _, handler: open_stream(handler, reset, STREAM_END)
    with pytest.raises(ClientError, match="no longer kept"):
        list(EventStream(server.url, "k", sleep=lambda _: None).follow_job(JOB_ID, after=9))


def test_a_refusal_ends_the_watch_at_once(server: FakeServer, client: Client) -> None:
    server.answers[ROUTE] = 422, problem("bad_job_id", "job_id is not a job's id", "job_id")
    with pytest.raises(ImtsApiError, match="not a job's id"):
        list(client.watch("x"))
    assert len(server.asked) == 1


def test_patience_has_an_end() -> None:
    stream = EventStream(closed_url(), "k", patience_s=0.0, sleep=lambda _: None)
    with pytest.raises(ServerUnreachable, match="no IMTS server answers"):
        list(stream.follow_job(JOB_ID))


def test_the_orchestrator_says_where_the_stream_is(server: FakeServer) -> None:
    service = {"name": "stream", "url": server.url, "isReady": True}
    server.answers["GET", "/api/system"] = {"version": "0", "services": [service]}
    server.answers[ROUTE] = cut_every(9)
    with Client(server.url, "k") as client:
        assert len(list(client.watch(JOB_ID))) == 9
