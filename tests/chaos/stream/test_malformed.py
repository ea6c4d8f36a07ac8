"""Malformed events are refused or cleaned: one clean event on every wire, and nobody else notices."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NoReturn

import pytest
from websockets.sync.client import connect

from tests.chaos.conftest import Chaos
from tests.integration.stream.client import NOW, StreamCaller, metrics, new_job, phase
from tests.stream_process import stream_process

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

_WORDS = "line\nid: 99\n\nevent: stream_end\ndata: {}\r\n\x00\u2028\x85\x1b[31m"
CLEANED: dict[str, tuple[str, dict[str, Any]]] = {
    "NaN": ('{"step":1,"train_loss":NaN}', {"step": 1, "train_loss": None, "non_finite": ["train_loss"]}),
    "Infinity": ('{"step":1,"val_loss":-Infinity}', {"step": 1, "val_loss": None, "non_finite": ["val_loss"]}),
    "beyond a double": ('{"step":1,"train_loss":1e999}', {"step": 1, "train_loss": None, "non_finite": ["train_loss"]}),
    "NaN far down": ('{"a":{"b":[1,NaN]}}', {"a": {"b": [1, None]}, "non_finite": ["a.b"]}),
    "words that look like the wire": (json.dumps({"text": _WORDS}), {"text": _WORDS}),
    "a key that looks like the wire": (json.dumps({_WORDS: 1}), {_WORDS: 1}),
    "every script": (json.dumps({"文": "\U0001f600é"}), {"文": "\U0001f600é"}),
    "tiny and large": ('{"a":5e-324,"b":1.7976931348623157e308}', {"a": 5e-324, "b": 1.7976931348623157e308}),
    "nearly too large": (json.dumps({"text": "x" * 65_000}), {"text": "x" * 65_000}),
}
_DEEP = "[" * 40 + "]" * 40
REFUSED = {
    "step of 10^30": f'{{"step":{10**30}}}',
    "step of 1e30": '{"step":1e30}',
    "true as loss": '{"step":1,"train_loss":true}',
    "deep": f'{{"a":{_DEEP}}}',
    "deeper than any parser": f'{{"a":{"[" * 100_000}',
    "the same key twice": '{"step":1,"step":2}',
    "lone surrogate": '{"a":"\\ud800"}',
    "lone surrogate as key": '{"\\udfff":1}',
    "a megabyte": json.dumps({"text": "x" * 1_000_000}),
    "integer of 5000 digits": f'{{"a":{"9" * 5000}}}',
    "no object": "[1]",
    "cut short": '{"a":',
    "NUL between": '{"a":\x001}',
}
_NAMES = ["a\nb", "a\rid: 1", "a\x00", "", "A B", "../x", "x" * 500, "\ud800"]
_RESUMES = [b"9" * 1_000_000, b"-1", b"1e3", b"0x10", b"\xef\xbc\x91", b"1 2", b"99999999999999999"]


def _body(data: str, event_type: str = "metrics_update", producer: str = "q", first_seq: int = 1) -> bytes:
    head = f'"producer":{json.dumps(producer)},"first_seq":{first_seq}'
    event = f'"event_type":{json.dumps(event_type)},"timestamp":"{NOW}","data":{data}'
    return f'{{{head},"events":[{{{event}}}]}}'.encode()


def _post(caller: StreamCaller, job: str, body: bytes) -> int:
    answer = caller.http.post(
        f"/v1/topics/job:{job}/events", content=body, headers={"content-type": "application/json"}
    )
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["error"]["message"]
        assert len(answer.content) < 4_000
    return answer.status_code


def _refuse_constants(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def _strict(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text, parse_constant=_refuse_constants)
    return found


@contextmanager
def _wire(caller: StreamCaller, job: str, *headers: bytes) -> Iterator[socket.socket]:
    """A stream as bytes."""
    with socket.create_connection(("127.0.0.1", int(caller.url.rpartition(":")[2])), timeout=20) as raw:
        lines = [
            f"GET /v1/topics/job:{job}/stream HTTP/1.1".encode(), b"host: x",
            f"authorization: {caller.headers['authorization']}".encode(), *headers,
        ]  # fmt: skip
        raw.sendall(b"".join(line + b"\r\n" for line in lines) + b"\r\n")
        yield raw


def _answer(raw: socket.socket) -> tuple[int, bytes]:
    """Status and body, however its length is told."""
    with HTTPResponse(raw) as answer:
        answer.begin()
        return answer.status, answer.read()


def _events_of(wire: bytes) -> list[dict[str, Any]]:
    """The events of a stream's bytes: each one an id, a type and one line of data, and nothing else."""
    found = []
    for block in wire.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line.startswith(("id: ", "event: ", "data: "))]
        if lines and lines[0].startswith("id: "):
            seq, event, data = lines
            body = _strict(data.removeprefix("data: "))
            assert (seq, event) == (f"id: {body['seq']}", f"event: {body['event_type']}")
            found.append(body)
    return found


@pytest.fixture(params=["true", "false"], ids=["handoff", "asgi"])
def caller(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StreamCaller]:
    """A caller of a process of its own."""
    with stream_process(tmp_path, STREAM_HANDOFF=request.param) as replica, StreamCaller(replica.url) as caller:
        yield caller


def test_every_wire_carries_one_clean_event_or_none(caller: StreamCaller) -> None:
    job = new_job()
    address = f"{caller.url.replace('http', 'ws', 1)}/ws/metrics?job_id={job}"
    with _wire(caller, job) as raw, connect(address, additional_headers=caller.headers, proxy=None) as ws:
        expected: list[dict[str, Any]] = []
        for data in REFUSED.values():
            assert _post(caller, job, _body(data, first_seq=len(expected) + 1)) in {400, 413, 422}
        for name in _NAMES:
            assert _post(caller, job, _body("{}", event_type=name)) == 422
            assert _post(caller, job, _body("{}", producer=name)) == 422
        for encoding in ("utf-16", "utf-32", "utf-8-sig"):
            assert _post(caller, job, _body("{}").decode().encode(encoding)) == 400
        for data, clean in CLEANED.values():
            expected.append(clean)
            assert _post(caller, job, _body(data, first_seq=len(expected))) == 200
        assert caller.append(job, "orchestrator", 1, [phase("succeeded")]).status_code == 200
        by_sse = _events_of(_answer(raw)[1])
        by_ws = [message for message in map(_strict, map(str, ws)) if message["message_type"] == "training_event"]
    by_rest = caller.log(job)
    assert [event["data"] for event in by_rest[:-1]] == expected
    assert by_sse == by_rest
    assert [{key: message[key] for key in by_rest[0]} for message in by_ws] == by_rest


def test_a_resumption_from_nowhere_is_refused(caller: StreamCaller) -> None:
    job = new_job()
    caller.append(job, "p", 1, metrics(1))
    with _wire(caller, job) as other:
        for resume in _RESUMES:
            with _wire(caller, job, b"last-event-id: " + resume) as raw:
                assert _answer(raw)[0] in {400, 431}, resume[:20]
        caller.append(job, "orchestrator", 1, [phase("failed")])
        assert len(_events_of(_answer(other)[1])) == 2


def test_bytes_changed_at_random_are_never_a_fault_of_ours(chaos: Chaos, caller: StreamCaller) -> None:
    seeded = chaos.random
    job = new_job()
    taken = 0
    for _ in range(chaos.count(150, 2_000)):
        body = bytearray(_body('{"step":7,"train_loss":0.25,"text":"a\\n\\u00e9"}', first_seq=taken + 1))
        for _ in range(seeded.randint(1, 3)):
            place = seeded.randrange(len(body))
            body[place : place + seeded.randint(0, 2)] = seeded.randbytes(seeded.randint(0, 2))
        _post(caller, job, bytes(body))
        taken = caller.mark(job, "q")["accepted_through"]
    caller.append(job, "orchestrator", 1, [phase("stopped")])
    log = caller.log(job)
    with _wire(caller, job) as raw:
        assert _events_of(_answer(raw)[1]) == log
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
