"""Durable appends a second on each database, and points a second beside MLflow's best `log_batch`.

One stream process on core 0, the load in a process of its own on core 1; MLflow has both cores, in its turn.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import psutil

from shared.kit.auth import ServiceTokens
from tests.bench.fanout import free_port
from tests.bench.ingest_load import POINTS
from tests.bench.submission import mlflow_server
from tests.bench.table import Figure, median, percentile
from tests.conftest import SERVICE_SECRET
from tests.databases import fresh_schema
from tests.waiting import eventually

CONNECTIONS = 4
BATCH = 400
ROUNDS = 3
_BATCHES = {"sqlite": 60, "mysql": 25}
_GOALS = {"sqlite": 40_000, "mysql": 15_000}
_RATIO = 25


class Server:
    """The stream service as it is deployed, on core 0."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._process = psutil.Process(pid)

    def load(self, batches: int) -> dict[str, Any]:
        """One run of the load client, with the processor time and memory it cost the server."""
        token = ServiceTokens("bench", SERVICE_SECRET).issue("stream")
        plan = {
            "port": self._port, "token": token, "connections": CONNECTIONS, "size": BATCH, "batches": batches,
        }  # fmt: skip
        before = self._process.cpu_times()
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.ingest_load"], input=json.dumps(plan), capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        after = self._process.cpu_times()
        cpu = after.user + after.system - before.user - before.system
        return {**json.loads(done.stdout), "cpu_s": cpu, "rss_mb": self._process.memory_info().rss / 1e6}


@contextmanager
def serving(folder: Path, database_url: str) -> Iterator[Server]:
    """`python -m services.stream` on `database_url`; a SQLite file in `folder` when it is empty."""
    folder.mkdir(parents=True)
    port = free_port()
    environment = {
        **os.environ, "IMTS_SERVICE_SECRET": SERVICE_SECRET, "STREAM_DATA_DIR": str(folder),
        "STREAM_DATABASE_URL": database_url, "STREAM_PORT": str(port), "IMTS_REDIS_URL": "",
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        command = ["taskset", "--cpu-list", "0", sys.executable, "-m", "services.stream"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: _is_ready(port) or process.poll() is not None, within_s=60)
        assert process.poll() is None, (folder / "log").read_text()
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _runs(kind: str, folder: Path) -> list[dict[str, Any]]:
    with fresh_schema() if kind == "mysql" else nullcontext("") as url, serving(folder / kind, url) as server:
        server.load(10)
        return [server.load(_BATCHES[kind]) for _ in range(ROUNDS)]


def _figures(kind: str, runs: list[dict[str, Any]]) -> list[Figure]:
    rates = [run["events"] / run["seconds"] for run in runs]
    samples = [sample for run in runs for sample in run["samples"]]
    events, goal = sum(run["events"] for run in runs), _GOALS[kind]
    cpu = sum(run["cpu_s"] for run in runs)
    return [
        Figure(
            f"ingest, {kind}: events of {runs[0]['event_bytes']:.0f} bytes", median(rates), "1/s", f"≥ {goal:,}",
            median(rates) >= goal, rates,
        ),
        Figure(f"ingest, {kind}: points", median(rates) * POINTS, "1/s"),
        Figure(f"ingest, {kind}: {BATCH} events acknowledged, p50", percentile(samples, 0.5) * 1000, "ms"),
        Figure(f"ingest, {kind}: {BATCH} events acknowledged, p99", percentile(samples, 0.99) * 1000, "ms"),
        Figure(f"ingest, {kind}: processor time an event", cpu / events * 1e6, "µs"),
        Figure(f"ingest, {kind}: memory after it", runs[-1]["rss_mb"], "MB"),
    ]  # fmt: skip


def _mlflow(mlflow: Path, uri: str, threads: int, batches: int) -> float:
    script = Path(__file__).with_name("ingest_mlflow.py")
    # -P: beside the script lie modules named like the library's own.
    done = subprocess.run(
        [str(mlflow.with_name("python")), "-P", str(script), uri, str(threads), str(batches)], capture_output=True,
        text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])


def _beside_mlflow(mlflow: Path, folder: Path, ours: float) -> list[Figure]:
    """Straight into its SQLite store, which is its fastest way here, and through its server."""
    home = folder / "mlflow"
    home.mkdir()
    direct = max(_mlflow(mlflow, f"sqlite:///{home / 'direct.db'}", 1, 30) for _ in range(2))
    with mlflow_server(mlflow, home, f"sqlite:///{home / 'server.db'}", 18_734) as url:
        served = _mlflow(mlflow, url, 4, 8)
    ratio = ours / max(direct, served)
    return [
        Figure("ingest, mlflow log_batch into its store: points", direct, "1/s"),
        Figure("ingest, mlflow log_batch through its server: points", served, "1/s"),
        Figure("ingest, points, imts / mlflow", ratio, "ratio", f"≥ {_RATIO}", ratio >= _RATIO),
    ]


def measure(mlflow: Path, folder: Path) -> list[Figure]:
    """SQLite, MLflow in the same minute, and the MySQL server that the environment names, if it names one."""
    figures = _figures("sqlite", _runs("sqlite", folder))
    figures += _beside_mlflow(mlflow, folder, figures[1].value)
    if os.environ.get("IMTS_TEST_MYSQL_URL"):
        figures += _figures("mysql", _runs("mysql", folder))
    return figures
