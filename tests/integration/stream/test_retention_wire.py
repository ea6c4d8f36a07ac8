"""Retention over REST, SSE and WebSocket: who asks for what is no longer kept is told so, on every wire."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from services.stream.app import create_app
from tests.integration.stream.client import StreamCaller, code_of, metrics, new_job, phase
from tests.integration.stream.conftest import Delivery, settings_for
from tests.stream_process import stream_process
from tests.waiting import eventually

STEPS = 40


@pytest.fixture
def swept(tmp_path: Path, delivery: Delivery) -> Iterator[StreamCaller]:
    """A service that sweeps all the time."""
    settings = settings_for("", tmp_path, heartbeat_s=0.1, ring_events=8, retention_sweep_s=0.02)
    with delivery.serve(create_app(settings)) as url, StreamCaller(url) as caller:
        yield caller


def _move(to: str) -> dict[str, Any]:
    event = phase(to)
    return {**event, "data": {**event["data"], "project": "p"}}


def _finished(stream: StreamCaller) -> str:
    job = new_job()
    stream.append(job, "orchestrator", 1, [_move("running")])
    stream.append(job, f"{job}.1", 1, metrics(*range(STEPS), train_loss=0.5))
    assert stream.append(job, "orchestrator", 2, [_move("succeeded")]).status_code == 200
    return job


def _apply(stream: StreamCaller, action: str, **more: int) -> None:
    body = {"action": action, "after_days": 0, **more}
    assert stream.http.put("/v1/projects/p/retention", json=body).json() == body


def _page(stream: StreamCaller, job: str) -> Any:
    return stream.http.get(f"/v1/topics/job:{job}/events", params={"limit": 1_000})


def _thinned(stream: StreamCaller) -> str:
    job = _finished(stream)
    _apply(stream, "thin")
    eventually(lambda: len(_page(stream, job).json()["data"]) == 2)
    return job


def _deleted(stream: StreamCaller) -> str:
    job = _finished(stream)
    _apply(stream, "delete")
    eventually(lambda: _page(stream, job).status_code == 404)
    return job


def test_a_project_that_said_nothing_keeps_everything(swept: StreamCaller) -> None:
    assert swept.http.get("/v1/projects/p/retention").json() == {"action": "keep", "after_days": 30}
    _apply(swept, "delete", after_days=5)
    assert swept.http.get("/v1/projects/p/retention").json() == {"action": "delete", "after_days": 5}
    assert swept.http.get("/v1/projects/q/retention").json()["action"] == "keep"
    assert len(swept.log(_finished(swept))) == STEPS + 2


def test_a_policy_on_top_of_somebody_elses_is_refused_when_asked_to(swept: StreamCaller) -> None:
    path = "/v1/projects/p/retention"
    first = swept.http.get(path).headers["etag"]
    mine = swept.http.put(path, json={"action": "thin", "after_days": 9}, headers={"if-match": first})
    assert (mine.status_code, mine.headers["etag"]) == (200, swept.http.get(path).headers["etag"])
    stale = swept.http.put(path, json={"action": "delete", "after_days": 1}, headers={"if-match": first})
    assert (stale.status_code, stale.json()["error"]["param"]) == (412, "If-Match")
    assert swept.http.get(path).json() == {"action": "thin", "after_days": 9}
    fresh = swept.http.put(path, json={"action": "delete", "after_days": 1}, headers={"if-match": mine.headers["etag"]})
    assert fresh.status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"action": "burn"}, "action"), ({"action": "thin", "after_days": -1}, "after_days"),
        ({"action": "thin", "after_days": 1.5}, "after_days"), ({"days": 3}, "days"),
        ({"action": "delete", "after_days": 10**9}, "after_days"),
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(swept: StreamCaller, body: dict[str, Any], param: str) -> None:
    refused = swept.http.put("/v1/projects/p/retention", json=body)
    assert code_of(refused) == (422, "invalid_value")
    assert refused.json()["error"]["param"] == param
    assert code_of(swept.http.put("/v1/projects/a%20b/retention", json={}))[0] == 422


def test_a_thinned_log_says_compacted_first_and_cursors_stay_valid(swept: StreamCaller) -> None:
    job = _thinned(swept)
    through, last = STEPS + 1, STEPS + 2
    for cursor in (0, 1, through - 1):
        heard = swept.events(job, last_event_id=str(cursor))
        assert [(event.id, event.event) for event in heard[:2]] == [
            (str(through), "compacted"),
            (str(last), "phase_changed"),
        ]
        assert json.loads(heard[0].data)["data"] == {"through": through}
        assert [event.event for event in heard[2:]] == ["stream_end"]
    assert [event.event for event in swept.events(job, last_event_id=str(through))] == ["phase_changed", "stream_end"]
    assert [event.event for event in swept.events(job, last_event_id=str(last))] == ["stream_end"]
    assert [event["seq"] for event in _page(swept, job).json()["data"]] == [through, last]
    page = swept.http.get("/api/metrics/history", params={"job_id": job, "limit": 1_000}).json()
    assert [event["data"] for event in page["data"]] == [{"step": step, "train_loss": 0.5} for step in range(STEPS)]
    query: dict[str, str | int] = {"job_id": job, "keys": "train_loss", "buckets": 4}
    drawn = swept.http.get("/api/metrics/history", params=query).json()
    assert drawn["data"]["train_loss"]["points"] == [10, 10, 10, 10]


def test_a_deleted_log_says_reset_and_ends(swept: StreamCaller) -> None:
    job = _deleted(swept)
    for cursor in (None, "0", "1", str(STEPS + 2), "999999"):
        reset, end = swept.events(job, last_event_id=cursor)
        assert (reset.event, json.loads(reset.data)) == ("reset", {"reason": "deleted", "last_seq": 0})
        assert end.event == "stream_end"
    assert code_of(_page(swept, job)) == (404, "topic_deleted")
    for route in ("current", "history"):
        assert code_of(swept.http.get(f"/api/metrics/{route}", params={"job_id": job})) == (404, "topic_deleted")
    late = swept.append(job, f"{job}.1", 1, metrics(1))
    assert code_of(late) == (409, "producer_sealed")
    assert late.json()["error"]["details"]["is_deleted"] is True
    assert code_of(swept.seal(job, f"{job}.2", 0)) == (409, "producer_sealed")
    assert swept.mark(job, f"{job}.1") == {"producer": f"{job}.1", "accepted_through": 0, "sealed_at": None}


def test_a_socket_is_told_as_well(swept: StreamCaller) -> None:
    thinned, deleted = _thinned(swept), _deleted(swept)
    eventually(lambda: _page(swept, thinned).status_code == 404)
    _apply(swept, "thin")
    thinned = _thinned(swept)
    with connect(
        f"{swept.url.replace('http', 'ws', 1)}/ws/metrics", additional_headers=swept.headers, proxy=None
    ) as socket:

        def hear(kind: str) -> dict[str, Any]:
            message: dict[str, Any] = {"message_type": "heartbeat"}
            while message["message_type"] == "heartbeat":
                message = json.loads(socket.recv(timeout=10))
            assert message["message_type"] == kind
            return message

        socket.send(json.dumps({"action": "subscribe", "topic": f"job:{deleted}", "after": 7}))
        assert hear("reset")["reason"] == "deleted"
        assert hear("subscribed")["last_seq"] == 0
        assert hear("stream_end")["topic"] == f"job:{deleted}"
        socket.send(json.dumps({"action": "subscribe", "topic": f"job:{thinned}", "after": 7}))
        hear("subscribed")
        assert hear("training_event")["event"] == "compacted"
        assert hear("training_event")["seq"] == STEPS + 2
        hear("stream_end")


def test_nobody_says_the_logs_own_words(swept: StreamCaller) -> None:
    for word in ("compacted", "reset", "stream_end", "farewell", "heartbeat"):
        refused = swept.append(new_job(), "p", 1, [{**metrics(1)[0], "event_type": word}])
        assert code_of(refused) == (422, "invalid_value")
        assert refused.json()["error"]["param"] == "events.0.event_type"


def test_a_service_killed_in_mid_sweep_goes_on_with_whole_logs(tmp_path: Path) -> None:
    with stream_process(tmp_path) as calm, StreamCaller(calm.url) as caller:
        jobs = [_finished(caller) for _ in range(60)]
        whole = {job: caller.log(job) for job in jobs}
        _apply(caller, "thin")
    for _ in range(3):
        with (
            stream_process(tmp_path, STREAM_RETENTION_SWEEP_S="0.01") as sweeping,
            StreamCaller(sweeping.url) as caller,
        ):
            logs = {job: caller.log(job) for job in jobs}
            sweeping.kill()
        for job, log in logs.items():
            assert log == whole[job] or (log[0]["event_type"], log[1:]) == ("compacted", whole[job][log[0]["seq"] :])
    with stream_process(tmp_path, STREAM_RETENTION_SWEEP_S="0.01") as sweeping, StreamCaller(sweeping.url) as caller:
        for job in jobs:
            eventually(lambda job=job: len(caller.log(job)) == 2, within_s=60)  # type: ignore[misc]


def test_the_log_of_a_deleted_job_goes_whatever_the_policy_says(swept: StreamCaller) -> None:
    job = _finished(swept)
    for _ in range(2):
        assert swept.delete(job).json() == {"name": f"job:{job}"}
    reset, end = swept.events(job)
    assert (reset.event, json.loads(reset.data)["reason"], end.event) == ("reset", "deleted", "stream_end")
    assert code_of(_page(swept, job)) == (404, "topic_deleted")
    assert code_of(swept.append(job, f"{job}.1", 1, metrics(1))) == (409, "producer_sealed")
    assert len(swept.log(_finished(swept))) == STEPS + 2


def test_a_log_that_never_was_is_deleted_before_its_first_event(swept: StreamCaller) -> None:
    job = new_job()
    assert swept.delete(job).status_code == 200
    assert code_of(swept.append(job, f"{job}.1", 1, metrics(1))) == (409, "producer_sealed")
    assert [event.event for event in swept.events(job)] == ["reset", "stream_end"]
