"""The process is killed again and again while events pour in."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from httpx_sse import ServerSentEvent

from tests.integration.stream.client import StreamCaller, metrics, new_job
from tests.stream_process import StreamProcess, stream_process

KILLS = 3
BATCHES_A_LIFE = 15


def _send_until_killed(caller: StreamCaller, job: str, acknowledged: int, replica: StreamProcess) -> int:
    """Append batches, the process dying under one of them; answers the last number acknowledged."""
    for batch in range(BATCHES_A_LIFE + 1):
        steps = range(acknowledged + 1, acknowledged + 6)
        if batch == BATCHES_A_LIFE:
            os.kill(replica.pid, signal.SIGKILL)
        try:
            answer = caller.append(job, "p", steps[0], metrics(*steps))
        except httpx.TransportError:
            return acknowledged
        assert answer.status_code == 200
        acknowledged = answer.json()["accepted_through"]
    return acknowledged


def test_no_acknowledged_event_is_lost_and_none_is_there_twice(database_url: str, tmp_path: Path) -> None:
    job = new_job()
    acknowledged = 0
    heard: list[int] = []
    for _ in range(KILLS):
        with stream_process(tmp_path, database_url) as replica, StreamCaller(replica.url) as caller:
            known = caller.mark(job, "p")["accepted_through"]
            assert known >= acknowledged
            with caller.listen(job, last_event_id=str(heard[-1]) if heard else None) as events:
                acknowledged = _send_until_killed(caller, job, known, replica)
                heard += _until_cut(events)
    with stream_process(tmp_path, database_url) as replica, StreamCaller(replica.url) as caller:
        log = caller.log(job)
    steps = [event["data"]["step"] for event in log]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= acknowledged
    assert [event["seq"] for event in log] == steps
    assert heard == list(range(1, len(heard) + 1))


def _until_cut(events: Iterator[ServerSentEvent]) -> list[int]:
    heard: list[int] = []
    with contextlib.suppress(httpx.TransportError):
        heard.extend(int(event.id) for event in events)
    return heard


def test_a_graceful_stop_is_quick_with_streams_open(tmp_path: Path) -> None:
    with stream_process(tmp_path) as replica, StreamCaller(replica.url) as caller:
        job = new_job()
        caller.append(job, "p", 1, metrics(1))
        with caller.listen(job) as events:
            assert next(events).id == "1"
            assert replica.kill(signal.SIGTERM) in {0, -signal.SIGTERM}


@pytest.mark.parametrize("redis_url", ["", "redis://127.0.0.1:1/0"], ids=["embedded", "with redis"])
def test_it_is_small_when_idle_and_has_its_title(tmp_path: Path, redis_url: str) -> None:
    with stream_process(tmp_path, IMTS_REDIS_URL=redis_url) as replica:
        own = psutil.Process(replica.pid)
        assert " ".join(own.cmdline()).strip() == "imts:stream"
        assert own.memory_info().rss <= 120 * 1024 * 1024
