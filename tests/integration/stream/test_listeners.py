"""Listeners who leave, or stop taking, cost nothing that stays."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from blockbuster import blockbuster_ctx

from services.stream.app import create_app
from services.stream.wiring import Stream
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase
from tests.integration.stream.conftest import Delivery, settings_for
from tests.waiting import eventually


@dataclass
class Inside:
    """A running service, and a look inside it."""

    caller: StreamCaller
    stream: Stream

    @property
    def topics(self) -> int:
        return len(self.stream.fanout.topics)


@pytest.fixture
def inside(tmp_path: Path, delivery: Delivery) -> Iterator[Inside]:
    """A service that lets go of a listener after two seconds."""
    app = create_app(settings_for("", tmp_path, send_timeout_s=2))
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        yield Inside(caller, app.state.stream)


def test_a_feed_lives_as_long_as_somebody_listens(inside: Inside) -> None:
    job = new_job()
    inside.caller.append(job, "p", 1, metrics(1))
    with inside.caller.listen(job) as one, inside.caller.listen(job) as two:
        assert [next(one).id, next(two).id] == ["1", "1"]
        assert inside.topics == 1
    eventually(lambda: inside.topics == 0)


def test_a_listener_who_takes_nothing_is_let_go_and_the_others_hear_everything(inside: Inside) -> None:
    job = new_job()
    address = urlsplit(inside.caller.url)
    request = f"GET /api/stream/metrics?job_id={job} HTTP/1.1\r\nHost: x\r\nAuthorization: {{}}\r\n\r\n"
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((address.hostname, address.port))
        deaf.sendall(request.format(inside.caller.headers["authorization"]).encode())
        eventually(lambda: inside.topics == 1)
        with ThreadPoolExecutor(1) as attentive, StreamCaller(inside.caller.url) as listener:
            heard = attentive.submit(listener.events, job)
            for first in range(1, 1001, 100):
                inside.caller.append(job, "p", first, metrics(*range(first, first + 100), padding="z" * 20_000))
            inside.caller.append(job, "orchestrator", 1, [phase("succeeded")])
            assert [int(event.id) for event in heard.result(timeout=60)[:-1]] == list(range(1, 1002))
        eventually(lambda: inside.topics == 0)


def test_the_event_loop_is_never_blocked(inside: Inside) -> None:
    with blockbuster_ctx("services.stream"):
        job = new_job()
        with inside.caller.listen(job) as events:
            inside.caller.append(job, "p", 1, metrics(1, train_loss=1.0))
            assert next(events).id == "1"
            assert inside.caller.seal(job, "p", 1).status_code == 200
            assert inside.caller.http.get("/api/metrics/history", params={"job_id": job}).status_code == 200
            assert inside.caller.http.get("/api/metrics/current", params={"job_id": job}).status_code == 200
            inside.caller.append(job, "orchestrator", 1, [phase("failed")])
            assert [event.event for event in events] == ["phase_changed", "stream_end"]
