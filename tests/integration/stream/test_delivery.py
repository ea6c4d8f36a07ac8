"""What every listener is promised, whichever way its bytes go: whole events, resumption, a farewell, a bounded cost."""

import contextlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.stream.app import create_app
from services.stream.asgi import PIECE
from services.stream.wiring import Stream
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase
from tests.integration.stream.conftest import Delivery, settings_for
from tests.integration.stream.listening import WatchedProtocol, body_of, ids_of, raw_listener, rest_of
from tests.waiting import eventually

_MOST_HELD = 64 * 1024


def _held_by_a_reader(delivery: Delivery) -> int:
    # Through ASGI the next piece waits outside the transport.
    return WatchedProtocol.most_held() + (0 if delivery.is_handed_over else PIECE)


def test_large_events_reach_slow_and_quick_readers_whole(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, ring_events=8))
    job = new_job()
    with (
        delivery.serve(app) as url, StreamCaller(url) as caller,
        raw_listener(url, job) as slow, raw_listener(url, job) as quick,
    ):  # fmt: skip
        eventually(lambda: app.state.stream.fanout.listeners == 2)
        for first in range(1, 181, 60):
            events = metrics(*range(first, first + 60), padding="x" * 60_000)
            assert caller.append(job, "p", first, events).status_code == 200
        caller.append(job, "orchestrator", 1, [phase("succeeded")])
        eventually(lambda: WatchedProtocol.most_held() > 0)
        bodies = [body_of(rest_of(quick)), body_of(rest_of(slow))]
    for body in bodies:
        assert ids_of(body) == list(range(1, 182))
        events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]
        assert [len(event["data"].get("padding", "")) for event in events[:-1]] == [60_000] * 180 + [0]


def test_who_takes_nothing_holds_little_and_is_let_go_while_the_others_go_on(
    delivery: Delivery, tmp_path: Path
) -> None:
    app = create_app(settings_for("", tmp_path, send_timeout_s=2, ring_events=8))
    job = new_job()
    held: list[int] = []
    with (
        delivery.serve(app) as url, StreamCaller(url) as caller, StreamCaller(url) as listener,
        raw_listener(url, job) as deaf, ThreadPoolExecutor(1) as attentive,
    ):  # fmt: skip
        stream: Stream = app.state.stream
        eventually(lambda: stream.fanout.listeners == 1)
        (deafs_transport,) = [one for one in WatchedProtocol.transports if not one.is_closing()]
        heard = attentive.submit(listener.events, job)
        eventually(lambda: stream.fanout.listeners == 2)
        for first in range(1, 1001, 50):
            caller.append(job, "p", first, metrics(*range(first, first + 50), padding="z" * 20_000))
            held.append(_held_by_a_reader(delivery))
        eventually(lambda: stream.fanout.listeners == 1)
        assert deafs_transport.is_closing()
        caller.append(job, "p", 1001, metrics(1001))
        caller.append(job, "orchestrator", 1, [phase("succeeded")])
        assert [int(event.id) for event in heard.result(timeout=60)[:-1]] == list(range(1, 1003))
        assert 0 < max(held) <= _MOST_HELD
        eventually(lambda: stream.fanout.listeners == 0)
        # What the kernel had taken by then, and the end instead of the rest.
        assert _taken_before_the_cut(deaf) < 500 * 20_000


def _taken_before_the_cut(raw: socket.socket) -> int:
    taken = 0
    with contextlib.suppress(ConnectionResetError):
        while data := raw.recv(65_536):
            taken += len(data)
    return taken


def test_listeners_at_many_places_are_each_sent_what_they_missed(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, ring_events=8))
    job = new_job()
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        caller.append(job, "p", 1, metrics(*range(1, 701), padding="x" * 300))
        with raw_listener(url, job, 0) as a, raw_listener(url, job, 3) as b, raw_listener(url, job, 690) as c:
            caller.append(job, "p", 701, metrics(*range(701, 1001)))
            caller.append(job, "orchestrator", 1, [phase("failed")])
            heard = [ids_of(body_of(rest_of(raw))) for raw in (a, b, c)]
    assert heard == [list(range(first, 1002)) for first in (1, 4, 691)]


def test_both_ways_send_the_same_bytes(tmp_path: Path) -> None:
    job = new_job()
    bodies = []
    for way in (Delivery(True, "uvloop"), Delivery(False, "uvloop")):
        app = create_app(settings_for("", tmp_path / str(way.is_handed_over)))
        with way.serve(app) as url, StreamCaller(url) as caller:
            caller.append(job, "p", 1, metrics(1, 2, train_loss=0.5))
            with raw_listener(url, job, after=77) as ahead, raw_listener(url, job) as early:
                eventually(lambda: app.state.stream.fanout.listeners == 2)  # noqa: B023 - asked within the turn
                caller.append(job, "orchestrator", 1, [phase("stopped")])
                over = rest_of(ahead), rest_of(early)
            with raw_listener(url, job, after=3) as late:
                bodies.append([body_of(wire) for wire in (*over, rest_of(late))])
    assert bodies[0] == bodies[1]
    assert all(b"event: stream_end" in body for body in bodies[0])


def test_a_stopping_server_says_farewell(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path))
    with contextlib.ExitStack() as held_open:
        with delivery.serve(app) as url:
            raw = held_open.enter_context(raw_listener(url, new_job()))
            eventually(lambda: app.state.stream.fanout.listeners == 1)
        assert b'event: farewell\ndata: {"reason": "shutting_down", "last_seq": 0}\n\n' in body_of(rest_of(raw))


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


def test_nobody_without_a_key_is_let_in(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path))
    with delivery.serve(app) as url, raw_listener(url, new_job(), token="service.wrong.wrong.wrong") as raw:
        assert raw.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert app.state.stream.fanout.listeners == 0
