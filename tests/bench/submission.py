"""`POST /api/training/jobs` beside MLflow's create-run on its own server: rate and tail at 16 connections."""

import concurrent.futures
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.bench.table import Figure, percentile
from tests.databases import fresh_schema
from tests.mesh import Mesh, running_mesh
from tests.stories import add_example
from tests.waiting import eventually

CONNECTIONS = 16
REQUESTS = 3_000
PEER_REQUESTS = 600


def load(send: Callable[[httpx.Client, int], httpx.Response], base_url: str, count: int) -> tuple[float, list[float]]:
    """Send `count` requests over 16 connections; answers requests/s and each one's seconds."""
    turns = iter(range(count))
    turn = threading.Lock()
    samples: list[float] = []

    def one_connection() -> None:
        with httpx.Client(base_url=base_url, trust_env=False, timeout=60) as client:
            while True:
                with turn:
                    number = next(turns, None)
                if number is None:
                    return
                began = time.perf_counter()
                answer = send(client, number)
                samples.append(time.perf_counter() - began)
                assert answer.status_code < 300, answer.text

    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(one_connection) for _ in range(CONNECTIONS)]:
            done.result()
    return count / (time.perf_counter() - began), samples


def _submit(mesh: Mesh) -> tuple[float, list[float]]:
    headers = dict(mesh.api.headers)

    def send(client: httpx.Client, number: int) -> httpx.Response:
        body = {"modelName": "tiny", "dataset": "arithmetic-train", "maxSteps": 1, "seed": number}
        return client.post("/api/training/jobs", json=body, headers=headers)

    return load(send, mesh.url("orchestrator"), REQUESTS)


@contextmanager
def mlflow_server(mlflow: Path, folder: Path, database: str, port: int) -> Iterator[str]:
    """MLflow's own tracking server on `database`."""
    command = [
        str(mlflow), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "2",
        "--backend-store-uri", database, "--artifacts-destination", str(folder),
    ]  # fmt: skip
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _is_up(url), within_s=120)
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _create_runs(url: str) -> tuple[float, list[float]]:
    def send(client: httpx.Client, number: int) -> httpx.Response:
        body = {"experiment_id": "0", "start_time": int(time.time() * 1000), "run_name": f"run-{number}"}
        return client.post("/api/2.0/mlflow/runs/create", json=body)

    return load(send, url, PEER_REQUESTS)


def measure(kind: str, mlflow: Path, folder: Path) -> list[Figure]:
    """Both on `sqlite`, or both on the MySQL server the environment names; same machine, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        with mlflow_server(mlflow, folder, f"sqlite:///{folder / 'mlflow.db'}", 18_732) as url:
            peer = _create_runs(url)
        with running_mesh(folder / "data", _AT_REST) as mesh:
            add_example(mesh, folder / "example")
            ours = _submit(mesh)
    else:
        with fresh_schema() as database, mlflow_server(mlflow, folder, database, 18_733) as url:
            peer = _create_runs(url)
        with fresh_schema() as jobs, fresh_schema() as log:
            environment = {"ORCHESTRATOR_DATABASE_URL": jobs, "STREAM_DATABASE_URL": log, **_AT_REST}
            with running_mesh(folder / "data", environment) as mesh:
                add_example(mesh, folder / "example")
                ours = _submit(mesh)
    return _figures(kind, peer, ours)


_AT_REST = {"TRAINING_SPARES": "0"}


def _figures(kind: str, peer: tuple[float, list[float]], ours: tuple[float, list[float]]) -> list[Figure]:
    ratio = ours[0] / peer[0]
    tail = percentile(ours[1], 0.99) * 1000
    has_tail_goal = kind != "sqlite"
    return [
        Figure(f"{kind}: mlflow create-run", peer[0], "1/s"),
        Figure(f"{kind}: mlflow create-run p99", percentile(peer[1], 0.99) * 1000, "ms"),
        Figure(f"{kind}: imts submit", ours[0], "1/s"),
        Figure(f"{kind}: imts submit p50", percentile(ours[1], 0.5) * 1000, "ms"),
        Figure(
            f"{kind}: imts submit p99",
            tail,
            "ms",
            "≤ 80" if has_tail_goal else "",
            tail <= 80 if has_tail_goal else None,
        ),
        Figure(f"{kind}: submit rate, imts / mlflow", ratio, "ratio", "≥ 5", ratio >= 5),
    ]
