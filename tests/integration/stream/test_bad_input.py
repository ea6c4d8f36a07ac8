"""Raw bytes that must be refused with the one error body, and leave nothing behind."""

import json
from typing import Any

import pytest

from tests.integration.stream.client import NOW, StreamCaller, new_job


def _batch(**changes: Any) -> bytes:
    event = {"event_type": "metrics_update", "timestamp": NOW, "data": {"step": 1}} | changes
    return json.dumps({"producer": "p", "first_seq": 1, "events": [event]}).encode()


_DEEP: Any = 1
for _ in range(40):
    _DEEP = [_DEEP]

REFUSED = {
    "step of 10^30": (_batch(data={"step": 10**30}), 422, "events.0.data"),
    "64-bit overflow anywhere": (_batch(event_type="log", data={"a": [{"b": 2**63}]}), 422, "events.0.data"),
    "negative step": (_batch(data={"step": -1}), 422, "events.0.data.step"),
    "fractional step": (_batch(data={"step": 1.5}), 422, "events.0.data.step"),
    "true as loss": (_batch(data={"step": 1, "train_loss": True}), 422, "events.0.data.train_loss"),
    "text as loss": (_batch(data={"step": 1, "train_loss": "low"}), 422, "events.0.data.train_loss"),
    "deep nesting": (_batch(data={"a": _DEEP}), 422, "events.0.data"),
    "lone surrogate": (_batch(event_type="log", data={"a": "\ud800"}), 422, "events.0.data"),
    "lone surrogate as key": (_batch(event_type="log", data={"\udfff": 1}), 422, "events.0.data"),
    "event over 64 KiB": (_batch(event_type="log", data={"a": "x" * 70_000}), 413, "events.0.data"),
    "naive timestamp": (_batch(timestamp="2026-01-01T00:00:00"), 422, "events.0.timestamp"),
    "year one": (_batch(timestamp="0001-01-01T00:00:00+14:00"), 422, "events.0.timestamp"),
    "type with newline": (_batch(event_type="log\ndata: x"), 422, "events.0.event_type"),
    "huge attempt": (_batch(attempt=2**40), 422, "events.0.attempt"),
    "unknown field": (_batch(extra=1), 422, "events.0.extra"),
    "no events": (b'{"producer":"p","first_seq":1,"events":[]}', 422, "events"),
    "first_seq 0": (b'{"producer":"p","first_seq":0,"events":[]}', 422, "first_seq"),
    "producer as path": (b'{"producer":"../p","first_seq":1,"events":[]}', 422, "producer"),
    "no json": (b"{", 400, None),
    "utf-16": ("{}".encode("utf-16"), 400, None),
    "200k nesting": (b"[" * 200_000, 400, None),
    "duplicate key": (b'{"producer":"p","producer":"q"}', 400, None),
    "5000 digits": (b'{"first_seq":' + b"9" * 5000 + b"}", 400, None),
    "nine megabytes": (b" " * (9 * 1024 * 1024), 413, None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_and_leaves_nothing(embedded: StreamCaller, case: str) -> None:
    body, status, param = REFUSED[case]
    job = new_job()
    address = f"/v1/topics/job:{job}/events"
    answer = embedded.http.post(address, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert len(answer.content) < 4_000
    assert embedded.log(job) == []


@pytest.mark.parametrize("topic", ["..%2f..", "job", "user:x", "job:%00", "job:" + "x" * 200, "JOB:x", "job:x%0a"])
def test_a_topic_is_a_name(embedded: StreamCaller, topic: str) -> None:
    assert embedded.http.get(f"/v1/topics/{topic}/events").status_code in {404, 422}
