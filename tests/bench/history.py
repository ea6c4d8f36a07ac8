"""How fast a million points of a run are drawn: the first time, again, and after more of them came."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from sqlalchemy import insert

from services.stream.log import tables
from services.stream.wiring import MIGRATIONS
from shared.kit.sql import open_engine
from tests.bench.table import Figure, median, percentile
from tests.databases import fresh_database, migrated
from tests.integration.stream.client import StreamCaller, metrics, new_job

POINTS = 1_000_000
BUCKETS = 1_000
KEYS = "train_loss,learning_rate,advanced_metrics.gradient_norm"
_ROWS_AN_INSERT = 10_000
_SERVER = """
import sys
from pathlib import Path
from services.stream.app import create_app
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server
with live_server(create_app(settings_for(sys.argv[1], Path(sys.argv[2])))) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def _data(step: int, order: random.Random) -> str:
    return json.dumps({
        "step": step, "total_steps": POINTS, "epoch": step / 10_000, "train_loss": order.random(),
        "learning_rate": order.random() * 1e-3, "training_speed": 120.5, "tokens_per_second": 9_000.25,
        "eta": "01:02:03", "eta_seconds": 3_723, "gpu_memory_used": 10.5, "gpu_memory_total": 80.0,
        "advanced_metrics": {"gradient_norm": order.random(), "weight_norm": 3.5, "batch_time": 0.01},
    }, separators=(",", ":"))  # fmt: skip


def _fill(url: str, topic: str) -> None:
    """The log as if a run had written it; going through the front door would take minutes."""
    migrated(url, MIGRATIONS)
    now, order = datetime.now(UTC), random.Random(1)
    engine = open_engine(url, 1)
    with engine.begin() as connection:
        connection.execute(
            insert(tables.topics),
            {"topic": topic, "last_seq": POINTS, "is_ended": False, "figures": None, "updated_at": now},
        )
    for first in range(0, POINTS, _ROWS_AN_INSERT):
        rows = [
            {
                "topic": topic, "seq": step + 1, "event_type": "metrics_update", "attempt": 1, "step": step,
                "timestamp": now, "producer": "bench", "producer_seq": step + 1, "data": _data(step, order),
            }
            for step in range(first, first + _ROWS_AN_INSERT)
        ]  # fmt: skip
        with engine.begin() as connection:
            connection.execute(insert(tables.events), rows)
    engine.dispose()


class _Meanwhile:
    """What a draw does to the rest of the service: its memory, and how long others wait for a health check."""

    def __init__(self, url: str, pid: int) -> None:
        self._url = url
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self.peak_mb = self.rest_mb = self._mb()
        self.waits_ms: list[float] = []

    def _mb(self) -> float:
        return self._process.memory_info().rss / 1e6

    @contextmanager
    def watched(self) -> Iterator[None]:
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            yield
        finally:
            self._stop.set()
            watcher.join()

    def _watch(self) -> None:
        with httpx.Client(base_url=self._url) as http:
            while not self._stop.wait(0.01):
                began = time.perf_counter()
                http.get("/healthz")
                self.waits_ms.append((time.perf_counter() - began) * 1e3)
                self.peak_mb = max(self.peak_mb, self._mb())


def _draw(caller: StreamCaller, job: str) -> float:
    began = time.perf_counter()
    answer = caller.http.get(
        "/api/metrics/history", params={"job_id": job, "keys": KEYS, "buckets": BUCKETS}, timeout=120
    )
    took = time.perf_counter() - began
    curve = answer.raise_for_status().json()["data"]["train_loss"]
    assert sum(curve["points"]) >= POINTS
    assert len(curve["points"]) <= BUCKETS
    return took


def measure(kind: str, folder: Path) -> list[Figure]:
    """The service in a process of its own, on a log of a million points."""
    job = new_job()
    with fresh_database(kind, folder) as url:
        _fill(url, f"job:{job}")
        command = [sys.executable, "-c", _SERVER, url, str(folder / "stream")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            with StreamCaller(server.stdout.readline().strip()) as caller:
                figures = _measured(caller, job, server.pid)
            server.stdin.close()
    name = f"history on {kind}: {POINTS:,} points, 3 figures, {BUCKETS:,} buckets"
    return [Figure(f"{name}: {figure.name}", *list(vars(figure).values())[1:]) for figure in figures]


def _measured(caller: StreamCaller, job: str, pid: int) -> list[Figure]:
    meanwhile = _Meanwhile(caller.url, pid)
    with meanwhile.watched():
        first = _draw(caller, job)
    again = [_draw(caller, job) for _ in range(5)]
    grown = []
    for turn in range(5):
        steps = range(POINTS + turn * 10, POINTS + turn * 10 + 10)
        caller.append(job, "bench", turn * 10 + 1, metrics(*steps, train_loss=0.5)).raise_for_status()
        grown.append(_draw(caller, job))
    waits = meanwhile.waits_ms
    return [
        Figure("first", first, "s", "a few seconds", first < 5),
        Figure("first, points read", POINTS / first, "1/s"),
        Figure("again", median(again), "s", "< 1", median(again) < 1, again),
        Figure("again, 10 steps later", median(grown), "s", "< 1", median(grown) < 1, grown),
        Figure("first, memory on top", meanwhile.peak_mb - meanwhile.rest_mb, "MB", "flat"),
        Figure("first, a health check meanwhile, p50", median(waits), "ms"),
        Figure("first, a health check meanwhile, p99", percentile(waits, 0.99), "ms"),
    ]
