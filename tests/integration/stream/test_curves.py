"""Downsampled history says what every point would have shown, on each database."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from services.stream.app import create_app
from services.stream.log.keys import numbers
from tests.integration.stream.client import NOW, StreamCaller, code_of, metrics, new_job, phase
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server

KEYS = ("train_loss", "val_loss", "advanced_metrics.gradient_norm", "训练", "eval.loss")
Story = list[tuple[str, list[dict[str, Any]]]]


def _event(step: int, attempt: int, **data: Any) -> dict[str, Any]:
    return {"event_type": "metrics_update", "attempt": attempt, "timestamp": NOW, "data": {"step": step, **data}}


def _steps(order: random.Random, attempt: int, steps: range) -> Iterator[dict[str, Any]]:
    for step in steps:
        figures: dict[str, Any] = {"train_loss": order.choice([order.uniform(-5, 5), order.random() * 1e-300, 7, None])}
        if order.random() < 0.8:
            figures["advanced_metrics"] = {"gradient_norm": order.random(), "lr_schedule": "cosine"}
        if order.random() < 0.2:
            figures |= {"训练": order.choice([True, "12", 0.1 + 0.2, 2**53, {"x": "y" * 90}])}
        yield _event(step, attempt, **figures, **{"eval.loss": step / 3})
        if step % 5 == 0:
            yield _event(step, attempt, val_loss=order.random(), train_loss=order.random())


def _story(seed: int, stride: int) -> Story:
    """Three attempts, each going back a little; the first one's last events arrive late."""
    order = random.Random(seed)
    first = list(_steps(order, 1, range(0, 200 * stride, stride)))
    second = list(_steps(order, 2, range(150 * stride, 320 * stride, stride)))
    third = list(_steps(order, 3, range(100 * stride, 160 * stride, stride)))
    return [("a.1", first[:-20]), ("a.2", second), ("a.1", first[-20:]), ("a.3", third)]


def _tell(stream: StreamCaller, job: str, story: Story, sent: dict[str, int]) -> None:
    for producer, events in story:
        for at in range(0, len(events), 100):
            part = events[at : at + 100]
            assert stream.append(job, producer, sent.get(producer, 0) + 1, part).status_code == 200
            sent[producer] = sent.get(producer, 0) + len(part)


def _points(stream: StreamCaller, job: str) -> dict[str, list[tuple[int, float]]]:
    """Every point of every figure, as plain history tells them."""
    found: dict[str, list[tuple[int, float]]] = {}
    after, has_more = -1, True
    while has_more:
        page = stream.http.get("/api/metrics/history", params={"job_id": job, "after": after, "limit": 500}).json()
        for event in page["data"]:
            after = event["data"]["step"]
            for key, value in numbers(event["data"]).items():
                found.setdefault(key, []).append((after, value))
        has_more = page["has_more"]
    return found


def _draw(stream: StreamCaller, job: str, **query: Any) -> dict[str, Any]:
    answer = stream.http.get("/api/metrics/history", params={"job_id": job, "keys": ",".join(KEYS), **query})
    assert answer.status_code == 200, answer.text
    drawn: dict[str, Any] = answer.json()
    return drawn


def _check(stream: StreamCaller, job: str, count: int, after: int = -1, until: int = 10**12) -> dict[str, Any]:
    """What is drawn is right about every point, and little enough."""
    drawn = _draw(stream, job, buckets=count, after=after, until=until)
    expected = {
        key: kept for key, points in _points(stream, job).items()
        if key in KEYS and (kept := [(step, value) for step, value in points if after < step <= until])
    }  # fmt: skip
    assert set(drawn["data"]) == set(expected)
    for key, points in expected.items():
        curve = drawn["data"][key]
        assert len(curve["points"]) <= count
        assert sum(curve["points"]) == len(points)
        at = 0
        for number, size in enumerate(curve["points"]):
            mine = points[at : at + size]
            at += size
            values = [value for _, value in mine]
            assert (curve["first_step"][number], curve["first"][number]) == mine[0]
            assert (curve["last_step"][number], curve["last"][number]) == mine[-1]
            assert (curve["low"][number], curve["high"][number]) == (min(values), max(values))
            assert (curve["low_step"][number], curve["low"][number]) in mine
            assert (curve["high_step"][number], curve["high"][number]) in mine
            assert mine[-1][0] - mine[0][0] < drawn["width"]
    return drawn


@pytest.mark.parametrize("stride", [1, 50], ids=["read from events", "from the derived table"])
def test_every_bucket_has_the_extremes_and_ends_of_its_points(stream: StreamCaller, stride: int) -> None:
    job, sent = new_job(), dict[str, int]()
    for part in _story(1, stride):
        _tell(stream, job, [part], sent)
        for count in (1, 7, 100, 5_000):
            _check(stream, job, count)
    for after, until in ((-1, 120 * stride), (33 * stride + 1, 281 * stride - 3), (319 * stride, 10**9)):
        for count in (1, 3, 40):
            _check(stream, job, count, after, until)


def test_only_what_is_new_is_derived_again(stream: StreamCaller) -> None:
    job, sent = new_job(), dict[str, int]()
    _tell(stream, job, [("a.1", list(_steps(random.Random(3), 1, range(0, 60_000, 100))))], sent)
    before = _check(stream, job, 10)
    _tell(stream, job, [("b.1", [{"event_type": "log", "timestamp": NOW, "data": {"line": "x"}}])], sent)
    after = _check(stream, job, 10)
    assert (after["through"], after["data"]) == (before["through"] + 1, before["data"])
    _tell(stream, job, [("a.2", [_event(41_000, 2, train_loss=-100.0)])], sent)
    assert -100.0 in _check(stream, job, 10)["data"]["train_loss"]["low"]


def test_steps_far_apart_are_drawn_as_well(stream: StreamCaller) -> None:
    job, sent = new_job(), dict[str, int]()
    far = [0, 1, 10**6, 10**9, 10**9 + 1, 2**53 - 1]
    _tell(stream, job, [("a.1", [_event(step, 1, train_loss=float(step)) for step in far])], sent)
    for count in (1, 2, 1_000):
        _check(stream, job, count)


def test_more_events_than_a_page_on_one_step_count_once(stream: StreamCaller) -> None:
    job, sent = new_job(), dict[str, int]()
    crowd = [_event(5, 1, train_loss=float(number)) for number in range(9_000)]
    _tell(stream, job, [("a.1", [_event(4, 1, train_loss=1.0), *crowd, _event(6, 1, train_loss=2.0)])], sent)
    curve = _draw(stream, job, buckets=10)["data"]["train_loss"]
    assert (curve["first_step"], curve["first"]) == ([4, 5, 6], [1.0, 8999.0, 2.0])


def test_replicas_that_draw_at_once_agree(database_url: str, tmp_path: Path) -> None:
    job, sent = new_job(), dict[str, int]()
    story = _story(7, 50)
    with ExitStack() as stack:
        settings = settings_for(database_url, tmp_path)
        urls = [stack.enter_context(live_server(create_app(settings))) for _ in range(2)]
        callers = [stack.enter_context(StreamCaller(url)) for url in urls]
        for caller in callers:
            # Routes are built at their first request, which two apps in one process cannot do at once.
            _tell(caller, new_job(), story[:1], {})
            _draw(caller, job, buckets=9)
        with ThreadPoolExecutor(8) as pool:
            for part in story:
                telling = pool.submit(_tell, callers[0], job, [part], sent)
                for drawn in [pool.submit(_draw, callers[number % 2], job, buckets=9) for number in range(10)]:
                    drawn.result()
                telling.result()
        assert _check(callers[0], job, 9)["data"] == _check(callers[1], job, 9)["data"]


def test_keys_cut_current_and_history_down(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "a.1", 1, metrics(1, 2, train_loss=0.5, advanced_metrics={"gradient_norm": 2, "weight_norm": 3}))
    query = {"job_id": job, "keys": ["advanced_metrics.gradient_norm,absent", "train_loss"]}
    current = stream.http.get("/api/metrics/current", params=query).json()
    assert current["data"] == {"train_loss": 0.5, "advanced_metrics": {"gradient_norm": 2}}
    page = stream.http.get("/api/metrics/history", params={**query, "until": 1}).json()
    assert [event["data"] for event in page["data"]] == [{"step": 1, **current["data"]}]


@pytest.mark.parametrize(
    "query",
    [
        {"buckets": 10}, {"buckets": 0, "keys": "a"}, {"buckets": 5_001, "keys": "a"}, {"keys": 'a"b'}, {"keys": ""},
        {"keys": ["a"] * 33 + [f"k{number}" for number in range(40)]}, {"until": -1}, {"buckets": "x", "keys": "a"},
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(embedded: StreamCaller, query: dict[str, Any]) -> None:
    refused = embedded.http.get("/api/metrics/history", params={"job_id": new_job(), **query})
    assert code_of(refused) == (422, "invalid_value")
    assert refused.json()["error"]["param"] in {"keys", "buckets", "until"}


def test_nothing_is_drawn_where_there_are_no_figures(stream: StreamCaller) -> None:
    job = new_job()
    empty = {"job_id": job, "width": 1, "through": 0, "data": {}}
    assert _draw(stream, job, buckets=10) == empty
    stream.append(job, "orchestrator", 1, [phase("queued")])
    assert _draw(stream, job, buckets=10) == empty
    stream.append(job, "a.1", 1, metrics(3))
    assert _draw(stream, job, buckets=10)["data"] == {}
