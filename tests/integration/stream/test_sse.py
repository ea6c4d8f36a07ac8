"""Live streams: resume without gap or repeat, the end, and what a listener may ask."""

import json

import httpx
import pytest

from tests.integration.stream.client import StreamCaller, code_of, metrics, new_job, phase


def _finish(stream: StreamCaller, job: str, first_seq: int = 1) -> None:
    assert stream.append(job, "orchestrator", first_seq, [phase("succeeded")]).status_code == 200


def test_a_listener_hears_what_was_and_what_comes_and_then_the_end(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "p", 1, metrics(1, 2, train_loss=0.5))
    with stream.listen(job) as events:
        early = [next(events), next(events)]
        stream.append(job, "p", 3, metrics(3))
        early.append(next(events))
        _finish(stream, job)
        rest = list(events)
    assert [event.id for event in early] == ["1", "2", "3"]
    assert {event.event for event in early} == {"metrics_update"}
    assert json.loads(early[0].data) == {
        "timestamp": "2026-01-01T00:00:00.000000Z", "event_type": "metrics_update", "job_id": job, "attempt": 1,
        "seq": 1, "data": {"step": 1, "train_loss": 0.5},
    }  # fmt: skip
    assert [event.event for event in rest] == ["phase_changed", "stream_end"]
    assert rest[0].id == "4"
    assert [event.retry for event in (*early, *rest)] == [1000, None, None, None, None]


def test_a_broken_stream_goes_on_without_gap_or_repeat(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "p", 1, metrics(*range(1, 41)))
    heard: list[int] = []
    for take in (1, 7, 13):
        with stream.listen(job, last_event_id=str(heard[-1]) if heard else None) as events:
            heard += [int(next(events).id) for _ in range(take)]
    _finish(stream, job)
    heard += [
        int(event.id) for event in stream.events(job, last_event_id=str(heard[-1])) if event.event != "stream_end"
    ]
    assert heard == list(range(1, 42))


def test_the_header_wins_over_the_query(embedded: StreamCaller) -> None:
    job = new_job()
    embedded.append(job, "p", 1, metrics(1, 2, 3))
    _finish(embedded, job)
    assert next(event.id for event in embedded.events(job, after=1, last_event_id="3")) == "4"
    assert next(event.id for event in embedded.events(job, after=1, last_event_id="")) == "2"
    assert next(event.id for event in embedded.events(job, after=1)) == "2"


def test_who_has_heard_it_all_hears_only_the_end(embedded: StreamCaller) -> None:
    job = new_job()
    _finish(embedded, job)
    assert [event.event for event in embedded.events(job, last_event_id="1")] == ["stream_end"]


def test_who_asks_beyond_the_log_is_told_where_it_ends(embedded: StreamCaller) -> None:
    job = new_job()
    embedded.append(job, "p", 1, metrics(1, 2))
    with embedded.listen(job, last_event_id="77") as events:
        reset = next(events)
        assert (reset.event, reset.id) == ("reset", "2")
        assert json.loads(reset.data) == {"reason": "ahead_of_log", "last_seq": 2}
        embedded.append(job, "p", 3, metrics(3))
        assert next(events).id == "3"


def test_a_job_that_has_not_begun_is_waited_for_with_heartbeats(embedded: StreamCaller) -> None:
    job = new_job()
    params = {"job_id": job}
    with embedded.http.stream("GET", "/api/stream/metrics", params=params) as response:
        lines = response.iter_lines()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert [next(lines) for _ in range(3)] == [": welcome", "retry: 1000", ": heartbeat"]
        _finish(embedded, job)
        assert "event: stream_end" in list(lines)


def test_who_is_behind_the_ring_reads_the_log(embedded: StreamCaller) -> None:
    job = new_job()
    embedded.append(job, "p", 1, metrics(1))
    with embedded.listen(job) as events:
        heard = [int(next(events).id)]
        for first in range(2, 1202, 300):
            embedded.append(job, "p", first, metrics(*range(first, first + 300), padding="y" * 500))
        _finish(embedded, job)
        heard += [int(event.id) for event in events if event.event != "stream_end"]
    assert heard == list(range(1, 1203))


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 400, "٣".encode().decode("latin-1"), "1e3", str(2**53)])
def test_a_malformed_last_event_id_is_refused(embedded: StreamCaller, value: str) -> None:
    header = httpx.Headers([(b"last-event-id", value.encode("latin-1"))])
    answer = embedded.http.get("/api/stream/metrics", params={"job_id": new_job()}, headers=header)
    assert code_of(answer) == (400, "malformed_request")


@pytest.mark.parametrize("query", ["job_id=../x", "job_id=", "", "job_id=job-1&after=-1", "after=x"])
def test_a_malformed_query_is_refused(embedded: StreamCaller, query: str) -> None:
    assert embedded.http.get(f"/api/stream/metrics?{query}").status_code == 422


def test_any_topic_can_be_followed(embedded: StreamCaller) -> None:
    body = {"producer": "me", "first_seq": 1, "events": metrics(1)}
    assert embedded.http.post("/v1/topics/project:Vision/events", json=body).status_code == 200
    with embedded.http.stream("GET", "/v1/topics/project:Vision/stream") as response:
        assert '"job_id":null' in next(line for line in response.iter_lines() if line.startswith("data:"))
