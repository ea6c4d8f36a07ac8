"""An orchestrator is killed between a commit and its message: the next one sends it, under the same id."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import SERVICE_SECRET
from tests.fakes.receiver import Receiver, receiving
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.chaos
KEY = "imts-key-of-an-orchestrator-that-dies"
SERVICES = "TRAINING", "ANALYZER", "EVALUATOR"
"""Nobody listens at their addresses."""
ROWS = b'{"instruction": "1+1", "output": "2"}\n{"instruction": "2+2", "output": "4"}\n'


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def _orchestrator(folder: Path, database_url: str, port: int) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """A process that serves; killed afterwards."""
    environment = {
        "PATH": os.environ["PATH"], "IMTS_SERVICE_SECRET": SERVICE_SECRET, "IMTS_API_KEY": KEY,
        "ORCHESTRATOR_DATA_DIR": str(folder / "data"), "ORCHESTRATOR_DATABASE_URL": database_url,
        "ORCHESTRATOR_PORT": str(port), "ORCHESTRATOR_EGRESS_ALLOW": "127.0.0.1", "ORCHESTRATOR_EGRESS_HTTP": "true",
        **{f"ORCHESTRATOR_{name}_URL": f"http://127.0.0.1:{free_port()}" for name in SERVICES},
        "IMTS_STREAM_URL": f"http://127.0.0.1:{free_port()}",
    }  # fmt: skip
    headers = {"authorization": f"Bearer {KEY}"}
    with (folder / "orchestrator.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "orchestrator"], env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False) as http:
            eventually(lambda: _answers(http), within_s=60)
            yield http, process
    finally:
        process.kill()
        process.wait(30)


def _stopped_job(http: httpx.Client) -> str:
    """A job that was stopped while it waited: two moves, both committed."""
    uploaded = http.post("/api/datasets", files={"file": ("rows.jsonl", ROWS)}, data={"name": "sums"})
    assert uploaded.status_code == 201, uploaded.text
    job: dict[str, Any] = http.post("/api/analysis/jobs", json={"dataset": "sums"}).json()
    stopped = http.post(f"/api/jobs/{job['jobId']}/stop")
    assert stopped.json()["status"] == "stopped", stopped.text
    return str(job["jobId"])


def _listen(http: httpx.Client, receiver: Receiver) -> None:
    body = {"url": receiver.url, "events": ["job.stopped", "job.phase_changed"]}
    made = http.post("/api/webhooks", json=body)
    assert made.status_code == 201, made.text
    receiver.secrets.append(made.json()["secret"])


def test_what_was_committed_when_the_orchestrator_was_killed_is_told_by_the_next(
    database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    with receiving() as receiver:
        with _orchestrator(tmp_path, database_url, port) as (http, process):
            _listen(http, receiver)
            receiver.is_open.clear()
            job_id = _stopped_job(http)
            eventually(lambda: receiver.told(job_id), lambda told: told == ["queued"])
            process.kill()
            process.wait(30)
        receiver.is_open.set()
        assert receiver.told(job_id) == ["queued"]
        with _orchestrator(tmp_path, database_url, port):
            told = eventually(lambda: receiver.told(job_id), lambda told: told[-1:] == ["stopped"], within_s=30)
    assert told == ["queued", "queued", "stopped"]
    first, again, last = (heard.message_id for heard in receiver.heard)
    assert first == again != last
    assert all(heard.verified_by == receiver.secrets for heard in receiver.heard)
