"""What tests of sweeps ask of a mesh."""

from typing import Any, TypeVar

import httpx

from shared.contracts.work import Outcome, Progress
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import TRAINING, Answer, Mesh

T = TypeVar("T")
JOB = {"kind": "training", **TRAINING}
RATES = {"learningRate": [0.001, 0.01, 0.1]}
LOWEST_LOSS = {"metric": "train_loss", "goal": "minimize"}


def post_sweep(mesh: Mesh, key: str | None = None, **fields: Any) -> httpx.Response:
    body = {"job": JOB, "parameters": RATES, **fields}
    return mesh.http.post("/api/sweeps", json=body, headers={"idempotency-key": key} if key else {})


def make_sweep(mesh: Mesh, **fields: Any) -> Answer:
    answer = post_sweep(mesh, **fields)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def look(mesh: Mesh, sweep: Answer) -> Answer:
    return dict(mesh.http.get(f"/api/sweeps/{sweep['sweepId']}").json())


def jobs_of(sweep: Answer) -> list[str]:
    return [child["jobId"] for child in sweep["children"]]


def finish(mesh: Mesh, job_id: str, outcome: Outcome = Outcome.SUCCEEDED, **metrics: float) -> None:
    mesh.until(job_id, "running")
    mesh.worker.run(f"{job_id}.1", Progress(step=5, total_steps=5, metrics=dict(metrics)))
    mesh.worker.end(f"{job_id}.1", outcome, result=MADE_MODEL)


def count_jobs(mesh: Mesh) -> int:
    return len(mesh.http.get("/api/jobs", params={"limit": 200}).json()["data"])
