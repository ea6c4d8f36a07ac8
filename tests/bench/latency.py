"""How late each event of a real training is: from its callback to an SSE client, and to a page in Chromium."""

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.bench.browser import chromium, is_there
from tests.bench.overhead import wait_for_spare
from tests.bench.table import Figure, median, percentile
from tests.mesh import KEY, Mesh
from tests.stories import submit, wait_for

STEPS = 1_000
_LISTENER = """
import json, sys, time
from datetime import datetime
import httpx
url, key, job_id = sys.argv[1:]
delays, name = [], ""
headers = {"authorization": f"Bearer {key}"}
with httpx.stream("GET", url, params={"job_id": job_id}, headers=headers, timeout=60, trust_env=False) as answer:
    print("connected", flush=True)
    for line in answer.iter_lines():
        now = time.time()
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data" and name != "stream_end":
            event = json.loads(value)
            at = datetime.fromisoformat(event["timestamp"]).timestamp()
            delays.append((event["event_type"], event["data"].get("step"), (now - at) * 1e3))
        elif field == "data":
            break
print(json.dumps(delays))
"""


def _listen(mesh: Mesh, job_id: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _LISTENER, mesh.url("stream") + "/api/stream/metrics", KEY, job_id]
    listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert listener.stdout is not None
    assert listener.stdout.readline() == "connected\n"
    return listener


def _job(mesh: Mesh) -> str:
    wait_for_spare(mesh)
    return submit(mesh, maxSteps=STEPS, epochs=100, loggingSteps=1)


def by_client(mesh: Mesh) -> list[float]:
    """Milliseconds from the timestamp of each logging step to its arrival at a client in a process of its own."""
    job_id = _job(mesh)
    with _listen(mesh, job_id) as listener:
        assert listener.stdout is not None
        heard = json.loads(listener.stdout.read())
    return _ages(mesh, job_id, [(step, age) for kind, step, age in heard if kind == "metrics_update"])


def by_browser(mesh: Mesh) -> list[float]:
    """The same to an EventSource in Chromium, which was let in by a ticket."""
    with chromium() as page:
        page.open(mesh.url("stream") + "/healthz")
        job_id = _job(mesh)
        ticket = mesh.stream.post(f"/v1/topics/job:{job_id}/tickets").json()["ticket"]
        page.listen(f"/api/stream/metrics?job_id={job_id}&ticket={ticket}")
        return _ages(mesh, job_id, page.heard(within_s=120))


def _ages(mesh: Mesh, job_id: str, heard: Sequence[tuple[int | None, float]]) -> list[float]:
    assert wait_for(mesh, job_id)["status"] == "succeeded"
    ages = {step: age for step, age in heard if step is not None}
    assert sorted(ages) == list(range(1, STEPS + 1)), "a step is missing"
    return list(ages.values())


def _figures(name: str, ages: list[float]) -> list[Figure]:
    late = percentile(ages, 0.99)
    return [
        Figure(f"latency: callback to {name}, p50", median(ages), "ms"),
        Figure(f"latency: callback to {name}, p99", late, "ms", "< 100", late < 100, ages),
        Figure(f"latency: callback to {name}, slowest", max(ages), "ms"),
    ]


def measure(mesh: Mesh) -> list[Figure]:
    """One training each, every step logged, the first ones too; Chromium where there is one."""
    figures = _figures("SSE client", by_client(mesh))
    if is_there():
        figures += _figures("EventSource in Chromium", by_browser(mesh))
    return figures
