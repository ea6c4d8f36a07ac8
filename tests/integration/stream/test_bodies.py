"""The ways an append arrives: JSON or lines, plain or gzip; each within bounds."""

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol
from tests.integration.stream.client import StreamCaller, code_of, metrics, new_job
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server
from tests.waiting import eventually

LINES = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}
GZIP = {"content-encoding": "gzip"}
LIMIT = 100_000
ROOM = 120_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamCaller]:
    """A service with little room."""
    folder: Path = tmp_path_factory.mktemp("stream")
    settings = settings_for("", folder, max_append_bytes=LIMIT, max_waiting_bytes=ROOM)
    with live_server(create_app(settings), http=HandoffProtocol) as url, StreamCaller(url) as caller:
        yield caller


def _lines(*events: dict[str, Any], end: str = "\n") -> bytes:
    return "".join(json.dumps(event) + end for event in events).encode()


def _request(first_seq: int, events: list[dict[str, Any]]) -> bytes:
    return json.dumps({"producer": "p", "first_seq": first_seq, "events": events}).encode()


def _address(job: str, query: str = "") -> str:
    return f"/v1/topics/job:{job}/events{query}"


@contextmanager
def _begun(caller: StreamCaller, job: str, length: int, begin: bytes) -> Iterator[socket.socket]:
    """A connection over which the head of an append and the beginning of its body have been sent."""
    host, port = caller.url.removeprefix("http://").split(":")
    head = (
        f"POST {_address(job)} HTTP/1.1\r\nHost: x\r\nAuthorization: {caller.headers['authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + begin)
        yield connection


def _wait_until_held(caller: StreamCaller, size: int) -> None:
    """Until so many bytes are read: who came earlier could take the room that they are to hold."""
    eventually(lambda: f"stream_appends_waiting_bytes {float(size)}" in caller.http.get("/metrics").text)


def test_the_same_events_arrive_by_every_way(small: StreamCaller) -> None:
    job = new_job()
    for first, (headers, query, body) in enumerate([
        (JSON, "", _request(1, metrics(1, train_loss=0.5))),
        (LINES, "?producer=p&first_seq=2", _lines(*metrics(2, train_loss=0.5))),
        (JSON | GZIP, "", gzip.compress(_request(3, metrics(3, train_loss=0.5)))),
        (LINES | GZIP, "?producer=p&first_seq=4", gzip.compress(_lines(*metrics(4, train_loss=0.5)))),
    ], start=1):  # fmt: skip
        answer = small.http.post(_address(job, query), content=body, headers=headers)
        assert answer.json() == {"producer": "p", "accepted_through": first, "sealed_at": None}
    assert [event["data"] for event in small.log(job)] == [{"step": step, "train_loss": 0.5} for step in (1, 2, 3, 4)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_lines_may_end_as_they_like_and_be_empty(small: StreamCaller, end: str) -> None:
    job = new_job()
    body = _lines(*metrics(1, 2, 3), end=end)
    for content in (body, body.rstrip()):
        answer = small.http.post(_address(job, "?producer=p&first_seq=1"), content=content, headers=LINES)
        assert answer.json()["accepted_through"] == 3
    assert len(small.log(job)) == 3


QUERY = "?producer=p&first_seq=1"
ONE = _lines(*metrics(1))
REFUSED: dict[str, tuple[dict[str, str], str, bytes, int, str | None]] = {
    "lines without a producer": (LINES, "?first_seq=1", ONE, 422, "producer"),
    "lines without a number": (LINES, "?producer=p", ONE, 422, "first_seq"),
    "a number that is none": (LINES, "?producer=p&first_seq=one", ONE, 422, "first_seq"),
    "number 0": (LINES, "?producer=p&first_seq=0", ONE, 422, "first_seq"),
    "a number beyond any": (LINES, f"?producer=p&first_seq={10**30}", ONE, 422, "first_seq"),
    "a producer that is a path": (LINES, "?producer=../p&first_seq=1", ONE, 422, "producer"),
    "JSON that says it twice": (JSON, "?producer=q", _request(1, metrics(1)), 422, "producer"),
    "no lines": (LINES, QUERY, b"", 422, "events"),
    "empty lines": (LINES, QUERY, b"\n \n\r\n", 422, "events"),
    "a line that is no JSON": (LINES, QUERY, ONE + b"{", 400, None),
    "two events in a line": (LINES, QUERY, b",".join([ONE.strip()] * 2), 400, None),
    "a list of events": (LINES, QUERY, b"[" + ONE.strip() + b"]", 422, "events.0"),
    "a key twice": (LINES, QUERY, b'{"a":1,"a":2}', 400, None),
    "a bad second event": (LINES, QUERY, ONE + _lines(*metrics(-1)), 422, "events.1.data.step"),
    "too many lines": (LINES, QUERY, b"{}\n" * 1_001, 422, "events"),
    "too many lines, the last without an end": (LINES, QUERY, b"{}\n" * 1_000 + b"{}", 422, "events"),
    "a bomb": (JSON | GZIP, "", gzip.compress(bytes(LIMIT + 1)), 413, None),
    "a large bomb": (LINES | GZIP, QUERY, gzip.compress(bytes(80_000_000)), 413, None),
    "broken gzip": (JSON | GZIP, "", b"\x1f\x8b and then nothing of it", 400, None),
    "gzip cut short": (JSON | GZIP, "", gzip.compress(_request(1, metrics(1)))[:-4], 400, None),
    "plain called gzip": (JSON | GZIP, "", _request(1, metrics(1)), 400, None),
    "gzip of nothing": (JSON | GZIP, "", gzip.compress(b""), 400, None),
    "brotli": (JSON | {"content-encoding": "br"}, "", b"\x8b\x02\x80{}\x03", 415, "Content-Encoding"),
    "gzip twice": (JSON | {"content-encoding": "gzip, gzip"}, "", b"", 415, "Content-Encoding"),
    "text": ({"content-type": "text/plain"}, "", ONE, 415, "Content-Type"),
    "no type": ({"content-type": ""}, "", ONE, 415, "Content-Type"),
    "plain and too long": (LINES, QUERY, ONE * 2_000, 413, None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_reason_and_leaves_nothing(small: StreamCaller, case: str) -> None:
    headers, query, body, status, param = REFUSED[case]
    job = new_job()
    answer = small.http.post(_address(job, query), content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert len(answer.content) < 4_000
    assert small.log(job) == []


def test_a_bad_line_is_named(small: StreamCaller) -> None:
    answer = small.http.post(_address(new_job(), QUERY), content=ONE + b"\n{]", headers=LINES)
    assert answer.json()["error"]["message"].startswith("line 3: ")


def test_bodies_that_arrive_slowly_fill_the_room_and_leave_it_again(small: StreamCaller) -> None:
    job, other = new_job(), new_job()
    body = _request(1, metrics(1, 2, text="x" * 45_000))
    events = metrics(1, text="x" * 60_000)
    with _begun(small, job, len(body), body[:-1]) as slow:
        _wait_until_held(small, len(body) - 1)
        eventually(lambda: small.append(other, "p", 1, events).status_code == 429)
        refused = small.append(other, "p", 1, events)
        assert code_of(refused) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        slow.sendall(body[-1:])
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
    assert small.append(other, "p", 1, events).status_code == 200


def test_a_body_that_never_ends_is_given_up(small: StreamCaller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.stream.intake._READ_S", 0.1)
    with _begun(small, new_job(), 99_000, b"[") as slow:
        assert slow.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_sender_that_hangs_up_leaves_its_room(small: StreamCaller) -> None:
    job = new_job()
    events = metrics(1, text="x" * 60_000)
    with _begun(small, new_job(), 99_000, b"[" * 90_000):
        _wait_until_held(small, 90_000)
        eventually(lambda: small.append(job, "p", 1, events).status_code == 429)
    eventually(lambda: small.append(job, "p", 1, events).status_code == 200)


def test_a_large_body_is_opened_beside_the_loop(embedded: StreamCaller) -> None:
    job = new_job()
    body = _request(1, metrics(*range(1, 1001), text="x" * 4_000))
    assert len(body) > 4_000_000
    answer = embedded.http.post(_address(job), content=gzip.compress(body, 1), headers=JSON | GZIP)
    assert answer.json()["accepted_through"] == 1000
    assert embedded.log(job)[-1]["data"]["step"] == 1000
