"""The process is killed again and again while events pour in."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from httpx_sse import ServerSentEvent

from tests.conftest import SERVICE_SECRET
from tests.integration.stream.client import StreamCaller, metrics, new_job
from tests.waiting import eventually

KILLS = 3
BATCHES_A_LIFE = 15


@contextmanager
def _process(database_url: str, folder: Path, port: int, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ["PATH"], "IMTS_SERVICE_SECRET": SERVICE_SECRET, "STREAM_DATA_DIR": str(folder),
        "STREAM_DATABASE_URL": database_url, "STREAM_PORT": str(port), "IMTS_LOG_FORMAT": "json", **more,
    }  # fmt: skip
    with (folder / "stream.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "services.stream"], env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as probe:
            eventually(lambda: _is_ready(process, probe), within_s=60)
        yield process
    finally:
        process.kill()
        process.wait()


def _is_ready(process: subprocess.Popen[bytes], probe: httpx.Client) -> bool:
    assert process.poll() is None, "the service ended; its log says why"
    try:
        return probe.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _send_until_killed(caller: StreamCaller, job: str, acknowledged: int, process: subprocess.Popen[bytes]) -> int:
    """Append batches, the process dying under one of them; answers the last number acknowledged."""
    for batch in range(BATCHES_A_LIFE + 1):
        steps = range(acknowledged + 1, acknowledged + 6)
        if batch == BATCHES_A_LIFE:
            os.kill(process.pid, signal.SIGKILL)
        try:
            answer = caller.append(job, "p", steps[0], metrics(*steps))
        except httpx.TransportError:
            return acknowledged
        assert answer.status_code == 200
        acknowledged = answer.json()["accepted_through"]
    return acknowledged


def test_no_acknowledged_event_is_lost_and_none_is_there_twice(
    database_url: str, tmp_path: Path, free_port: int
) -> None:
    job = new_job()
    acknowledged = 0
    heard: list[int] = []
    for _ in range(KILLS):
        with (
            _process(database_url, tmp_path, free_port) as process,
            StreamCaller(f"http://127.0.0.1:{free_port}") as caller,
        ):
            known = caller.mark(job, "p")["accepted_through"]
            assert known >= acknowledged
            with caller.listen(job, last_event_id=str(heard[-1]) if heard else None) as events:
                acknowledged = _send_until_killed(caller, job, known, process)
                heard += _until_cut(events)
    with _process(database_url, tmp_path, free_port), StreamCaller(f"http://127.0.0.1:{free_port}") as caller:
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


def test_a_graceful_stop_is_quick_with_streams_open(tmp_path: Path, free_port: int) -> None:
    with _process("", tmp_path, free_port) as process, StreamCaller(f"http://127.0.0.1:{free_port}") as caller:
        job = new_job()
        caller.append(job, "p", 1, metrics(1))
        with caller.listen(job) as events:
            assert next(events).id == "1"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) in {0, -signal.SIGTERM}


@pytest.mark.parametrize("redis_url", ["", "redis://127.0.0.1:1/0"], ids=["embedded", "with redis"])
def test_it_is_small_when_idle_and_has_its_title(tmp_path: Path, free_port: int, redis_url: str) -> None:
    with _process("", tmp_path, free_port, IMTS_REDIS_URL=redis_url) as process:
        own = psutil.Process(process.pid)
        assert " ".join(own.cmdline()).strip() == "imts:stream"
        assert own.memory_info().rss <= 120 * 1024 * 1024
