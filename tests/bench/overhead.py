"""The same training by plain `llamafactory-cli train` and through IMTS, in turns: whole job, first step, memory."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from examples.arithmetic.generate import generate
from shared.kit.artifacts import ArtifactStore
from shared.kit.auth import ServiceTokens
from tests.bench.table import Figure, median
from tests.mesh import Mesh
from tests.stories import job
from tests.waiting import eventually

ROWS = 1_000
BATCH = 4
_FIRST_STEP = re.compile(r"'loss':")


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds from the beginning to the first logged step and to the end; the most memory that was resident."""

    first_s: float
    whole_s: float
    peak_mb: float


def plain_run(model: Path, data: Path, work: Path) -> Run:
    """From the command's start to its exit."""
    work.mkdir(parents=True)
    info = {
        "bench": {"file_name": str(data), "columns": {"prompt": "instruction", "query": "input", "response": "output"}}
    }
    (work / "dataset_info.json").write_text(json.dumps(info))
    config = {
        "do_train": True, "stage": "sft", "finetuning_type": "lora", "lora_target": "all", "lora_rank": 16,
        "lora_alpha": 32, "model_name_or_path": str(model), "template": "chatml", "dataset": "bench",
        "dataset_dir": str(work), "output_dir": str(work / "out"), "cutoff_len": 128, "overwrite_cache": True,
        "per_device_train_batch_size": BATCH, "learning_rate": 1e-3, "num_train_epochs": 1.0, "logging_steps": 10,
        "save_steps": 500, "report_to": "none", "seed": 42,
    }  # fmt: skip
    (work / "train.yaml").write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).parent / "llamafactory-cli"), "train", str(work / "train.yaml")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}
    began = time.perf_counter()
    first = 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if not first and _FIRST_STEP.search(line):
                first = time.perf_counter() - began
        # As the kernel tells it of this very process, not of the largest child so far.
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode == 0
    assert first
    return Run(first, time.perf_counter() - began, usage.ru_maxrss / 1024)


def mesh_run(mesh: Mesh) -> Run:
    """From the POST to the first metrics event on SSE, and to `succeeded`, with a spare ready."""
    wait_for_spare(mesh)
    body = {
        "modelName": "tiny", "dataset": "bench", "stage": "sft", "finetuningType": "lora", "batchSize": BATCH,
        "learningRate": 1e-3, "epochs": 1, "loggingSteps": 10, "saveSteps": 500, "cutoffLen": 128, "seed": 42,
    }  # fmt: skip
    began = time.perf_counter()
    answer = mesh.api.post("/api/training/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["jobId"]
    first = 0.0
    for name, data in sse(mesh, job_id):
        if name == "metrics_update" and not first:
            first = time.perf_counter() - began
        if name == "phase_changed" and data["data"]["to"] in {"succeeded", "failed", "stopped"}:
            break
    ended = time.perf_counter() - began
    assert job(mesh, job_id)["status"] == "succeeded"
    report = json.loads((mesh.folder / "training" / "jobs" / job_id / "1" / "exit.json").read_bytes())
    return Run(first, ended, report["peak_memory_bytes"] / 2**20)


def sse(mesh: Mesh, job_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events as they arrive: their name and data."""
    name = ""
    with mesh.stream.stream("GET", "/api/stream/metrics", params={"job_id": job_id}) as answer:
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name != "stream_end":
                yield name, json.loads(value)


def wait_for_spare(mesh: Mesh) -> None:
    """Wait until a warm pair is ready: what a user meets who did not submit a moment ago."""
    token = ServiceTokens("orchestrator", (mesh.folder / "secrets" / "service.secret").read_text().strip()).issue(
        "training"
    )
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=mesh.url("training"), headers=headers, trust_env=False) as training:
        eventually(lambda: training.get("/capacity").json()["spares"], within_s=120)


def measure(mesh: Mesh, folder: Path, rounds: int) -> list[Figure]:
    """Plain and mesh runs in turns; ratios of medians."""
    data = generate(folder / "data", seed=7)["train"]
    rows = data.read_text(encoding="utf-8").splitlines()[:ROWS]
    data.write_text("\n".join(rows) + "\n", encoding="utf-8")
    with data.open("rb") as stream:
        assert mesh.api.post("/api/datasets", files={"file": stream}, data={"name": "bench"}).status_code == 201
    mesh.cli("models", "make-tiny", "tiny", "--from", "bench")
    store = ArtifactStore(str(mesh.folder / "artifacts"), folder / "cache")
    model = store.materialise(mesh.api.get("/api/models/tiny").json()["base"])
    plain, ours = [], []
    for turn in range(rounds):
        plain.append(plain_run(model, data, folder / f"plain-{turn}"))
        ours.append(mesh_run(mesh))
    figures = []
    for what, field, unit, goal in (
        ("whole job", "whole_s", "s", 0.5),
        ("first step", "first_s", "s", 0.25),
        ("peak memory", "peak_mb", "MB", 1.05),
    ):
        theirs, mine = ([getattr(run, field) for run in runs] for runs in (plain, ours))
        ratio = median(mine) / median(theirs)
        figures += [
            Figure(f"plain: {what}", median(theirs), unit, samples=theirs),
            Figure(f"imts: {what}", median(mine), unit, samples=mine),
            Figure(f"{what}, imts / plain", ratio, "ratio", f"≤ {goal}", ratio <= goal),
        ]
    return figures
