"""The queue at 1,000 and at 100,000 waiting jobs, and sixteen claimers on 10,000, on the MySQL server."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from orchestrator.db.unit_of_work import SqlUnitsOfWork
from orchestrator.domain.dataset import NewDataset
from orchestrator.domain.queueing.placement import Offer, Room
from orchestrator.reconciler.leases import Leases
from shared.contracts.datasets import DatasetFormat
from shared.kit.clock import SystemClock
from tests.bench.submission import load
from tests.bench.table import Figure, median, percentile
from tests.claimers import LONG_LEASE_S, fill, race, units_on
from tests.databases import fresh_schema
from tests.mesh import KEY, answers
from tests.waiting import eventually

SHORT, LONG = 1_000, 100_000
ROWS, CLAIMERS = 10_000, 16
CLAIMS = 50
REQUESTS = 600
ROUNDS = 2
_PATIENCE_S = 110.0
_PORT = 18_744
_NOBODY = "http://127.0.0.1:9"
"""The discard port: no worker answers, so that the queue stays as long as it is."""


def _register(units: SqlUnitsOfWork) -> None:
    rows = NewDataset("facts", 10, DatasetFormat.ALPACA, "a" * 64, 100, datetime.now(UTC))
    units.write(lambda uow: uow.datasets.add_version(rows))
    units.write(
        lambda uow: uow.models.add_version(
            name="base", base="c" * 64, adapter=None, template="default", parameters=7, base_model=None, job_id=None
        )
    )


@contextmanager
def _orchestrator(database: str, folder: Path, port: int) -> Iterator[str]:
    """The orchestrator alone, in a process of its own."""
    secret = "a-secret-of-the-queue-bench-" * 2
    environment = {
        **os.environ, "IMTS_SERVICE_SECRET": secret, "IMTS_API_KEY": KEY, "IMTS_LOG_LEVEL": "ERROR",
        "ORCHESTRATOR_PORT": str(port), "ORCHESTRATOR_DATABASE_URL": database, "ORCHESTRATOR_DATA_DIR": str(folder),
        "ORCHESTRATOR_MAX_QUEUED_JOBS": "1000000", "ORCHESTRATOR_TRAINING_URL": _NOBODY,
        "ORCHESTRATOR_ANALYZER_URL": _NOBODY, "ORCHESTRATOR_EVALUATOR_URL": _NOBODY, "IMTS_STREAM_URL": _NOBODY,
    }  # fmt: skip
    folder.mkdir(parents=True)
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "orchestrator"], env=environment) as process:
        try:
            eventually(lambda: answers(f"{url}/healthz"), within_s=60)
            yield url
        finally:
            process.terminate()


def _post(url: str) -> list[float]:
    def send(client: httpx.Client, number: int) -> httpx.Response:
        body = {"modelName": "base", "dataset": "facts", "maxSteps": 1, "seed": number}
        return client.post("/api/training/jobs", json=body, headers={"authorization": f"Bearer {KEY}"})

    return load(send, url, REQUESTS)[1]


def _claim(units: SqlUnitsOfWork) -> list[float]:
    """Seconds of each claim of one job: look, plan, claim."""
    leases = Leases(units, SystemClock(), "bench", LONG_LEASE_S)
    room = Room(1, 1, 1.0)
    samples = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        (taken,) = leases.claim_next("training", [Offer("training", room, room)], Counter())
        samples.append(time.perf_counter() - began)
        job_id = taken[0].job.job_id
        units.write(lambda uow: uow.jobs.release_all("bench"))
        assert job_id
    return samples


def measure(folder: Path) -> list[Figure]:
    """Requests and claims at both lengths, in turns."""
    posts: dict[int, list[float]] = {SHORT: [], LONG: []}
    claims: dict[int, list[float]] = {SHORT: [], LONG: []}
    with fresh_schema() as short, fresh_schema() as long, units_on(short) as few, units_on(long) as many:
        for units, length in ((few, SHORT), (many, LONG)):
            _register(units)
            fill(units, length)
        with (
            _orchestrator(short, folder / "short", _PORT) as short_url,
            _orchestrator(long, folder / "long", _PORT + 1) as long_url,
        ):
            for _ in range(ROUNDS):
                claims[SHORT] += _claim(few)
                claims[LONG] += _claim(many)
                posts[SHORT] += _post(short_url)
                posts[LONG] += _post(long_url)
    figures = []
    for name, samples in (("POST", posts), ("claim", claims)):
        for length in (SHORT, LONG):
            figures.append(Figure(f"{name} at {length:,}: p50", median(samples[length]) * 1000, "ms"))
            figures.append(Figure(f"{name} at {length:,}: p99", percentile(samples[length], 0.99) * 1000, "ms"))
    tail = percentile(posts[LONG], 0.99) / percentile(posts[SHORT], 0.99)
    claim = median(claims[LONG]) / median(claims[SHORT])
    return [
        *figures,
        Figure("POST p99, 100,000 / 1,000", tail, "ratio", "≤ 2", tail <= 2),
        Figure("claim p50, 100,000 / 1,000", claim, "ratio", "≤ 2", claim <= 2),
    ]


def measure_claimers() -> list[Figure]:
    """How many are claimed and started in a second, and whether any is twice."""
    with fresh_schema() as schema, units_on(schema, CLAIMERS) as units:
        made = fill(units, ROWS)
        found = race(units, CLAIMERS, batch=64, within_s=_PATIENCE_S)
    twice = sum(count - 1 for count in found.claimed.values())
    missed = len(set(made) - set(found.claimed))
    return [
        Figure(f"{CLAIMERS} claimers on {ROWS:,}: claimed twice", twice, "jobs", "0", twice == 0),
        Figure(f"{CLAIMERS} claimers on {ROWS:,}: never claimed", missed, "jobs", "0", missed == 0),
        Figure(f"{CLAIMERS} claimers on {ROWS:,}: claimed and started", len(found.claimed) / found.seconds, "1/s"),
        Figure(f"{CLAIMERS} claimers on {ROWS:,}: one claim of up to 64, p50", median(found.claiming_s) * 1000, "ms"),
    ]
