"""What Prometheus is told of listeners, read where Prometheus reads it."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from services.stream.app import create_app
from tests.integration.stream.client import StreamCaller, metrics, new_job
from tests.integration.stream.conftest import Delivery, settings_for
from tests.integration.stream.listening import raw_listener
from tests.integration.stream.test_websocket import _hear, _socket, _subscribe
from tests.waiting import eventually


class _Counts:
    """The numbers now, and how far counters have come since: other tests of this process count as well."""

    def __init__(self, caller: StreamCaller) -> None:
        self._caller = caller
        self._before = self._read()

    def _read(self) -> dict[tuple[str, str], float]:
        families = text_string_to_metric_families(self._caller.http.get("/metrics").text)
        return {
            (sample.name, next(iter(sample.labels.values()), "")): sample.value
            for family in families if family.name.startswith("stream_") for sample in family.samples
        }  # fmt: skip

    def now(self, name: str, label: str = "") -> float:
        return self._read()[name, label]

    def since(self, name: str, label: str = "") -> float:
        return self._read().get((name, label), 0) - self._before.get((name, label), 0)


def test_listeners_and_what_they_got_are_counted_exactly(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path))
    jobs = [new_job(), new_job()]
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        counts = _Counts(caller)
        with _socket(caller) as socket, caller.listen(jobs[0]) as one, caller.listen(jobs[0]) as two:
            _subscribe(socket, *jobs)
            eventually(lambda: counts.now("stream_listeners", "sse") == 2)
            assert counts.now("stream_listeners", "websocket") == 1
            for job in jobs:
                caller.append(job, "p", 1, metrics(*range(1, 6)))
            assert [next(one).id for _ in range(5)][-1] == "5"
            assert [next(two).id for _ in range(5)][-1] == "5"
            assert [_hear(socket)["message_type"] for _ in range(10)] == ["training_event"] * 10
            eventually(lambda: counts.since("stream_events_delivered_total", "sse") == 10)
            eventually(lambda: counts.since("stream_events_delivered_total", "websocket") == 10)
            assert counts.now("stream_furthest_behind_events") == 0
        eventually(lambda: counts.now("stream_listeners", "sse") == 0)
        eventually(lambda: counts.now("stream_listeners", "websocket") == 0)
        assert counts.since("stream_ring_misses_total") == 0


def test_pages_read_for_those_behind_the_ring_are_counted(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, ring_events=8))
    job = new_job()
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        for first in (1, 551):
            assert caller.append(job, "p", first, metrics(*range(first, first + 550))).status_code == 200
        counts = _Counts(caller)
        with caller.listen(job) as events:
            assert [int(next(events).id) for _ in range(1100)] == list(range(1, 1101))
            assert counts.since("stream_ring_misses_total") == 3
            eventually(lambda: counts.since("stream_events_delivered_total", "sse") == 1100)


def test_who_takes_nothing_is_seen_behind_and_then_dropped(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, send_timeout_s=1))
    job = new_job()
    with delivery.serve(app) as url, StreamCaller(url) as caller, raw_listener(url, job):
        eventually(lambda: app.state.stream.fanout.listeners == 1)
        counts = _Counts(caller)
        for first in range(1, 501, 50):
            caller.append(job, "p", first, metrics(*range(first, first + 50), padding="z" * 20_000))
        behind = counts.now("stream_furthest_behind_events")
        assert 0 < behind < 500
        eventually(lambda: counts.since("stream_listeners_dropped_total", "stalled") == 1)
        eventually(lambda: counts.now("stream_furthest_behind_events") == 0)
        # Through ASGI one event was on its way: no longer missing, and not taken over by the connection.
        on_its_way = 500 - behind - counts.since("stream_events_delivered_total", "sse")
        assert 0 <= on_its_way <= (0 if delivery.is_handed_over else 1)


def test_a_farewell_has_its_reason(delivery: Delivery, tmp_path: Path) -> None:
    app = create_app(settings_for("", tmp_path, max_life_s=0.2, heartbeat_s=0.1))
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        counts = _Counts(caller)
        assert caller.events(new_job())[-1].event == "farewell"
        assert counts.since("stream_listeners_dropped_total", "life_cap") == 1
