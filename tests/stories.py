"""What users do with a mesh, in one call each, and what must be true of a job's log afterwards."""

import json
from pathlib import Path
from typing import Any

from examples.arithmetic.generate import generate
from tests.mesh import TERMINAL, Mesh
from tests.waiting import eventually

Event = dict[str, Any]


def add_example(mesh: Mesh, folder: Path, limit: int | None = None) -> None:
    """Register the bundled example's splits and a tiny model made from them."""
    for split, path in generate(folder, seed=7, limit=limit).items():
        with path.open("rb") as stream:
            answer = mesh.api.post("/api/datasets", files={"file": stream}, data={"name": f"arithmetic-{split}"})
        assert answer.status_code == 201, answer.text
    mesh.cli("models", "make-tiny", "tiny", "--from", "arithmetic-train")


def submit(mesh: Mesh, **fields: Any) -> str:
    """Post a small training job; answers its id."""
    body = {
        "modelName": "tiny", "dataset": "arithmetic-train", "stage": "sft", "finetuningType": "lora", "batchSize": 4,
        "learningRate": 1e-3, "epochs": 1, "maxSteps": 40, "loggingSteps": 1, "cutoffLen": 128, **fields,
    }  # fmt: skip
    answer = mesh.api.post("/api/training/jobs", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    return str(answer.json()["jobId"])


def job(mesh: Mesh, job_id: str, kind: str = "training") -> dict[str, Any]:
    """The job as the API answers it."""
    answer = mesh.api.get(f"/api/{kind}/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def wait_for(mesh: Mesh, job_id: str, *statuses: str, kind: str = "training", within_s: float = 120) -> dict[str, Any]:
    """Wait until the job has one of these statuses; any terminal one when none is named."""
    wanted = set(statuses) or TERMINAL
    return eventually(lambda: job(mesh, job_id, kind), lambda view: view["status"] in wanted, within_s)


def wait_for_step(mesh: Mesh, job_id: str, step: int, within_s: float = 90) -> None:
    """Wait until an event of this step is in the log."""
    eventually(
        lambda: [e["data"]["step"] for e in events(mesh, job_id) if e["event_type"] == "metrics_update"],
        lambda steps: bool(steps) and max(steps) >= step,
        within_s,
    )


def events(mesh: Mesh, job_id: str) -> list[Event]:
    """The whole log over the orchestrator's REST API."""
    found: list[Event] = []
    while True:
        after = found[-1]["seq"] if found else 0
        answer = mesh.api.get(f"/api/training/jobs/{job_id}/events", params={"after": after, "limit": 500})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["data"]
        if not page["has_more"]:
            return found


def stream_to_end(mesh: Mesh, job_id: str, after: int = 0) -> list[Event]:
    """The job's SSE stream until `stream_end`; ids must equal the events' numbers."""
    found: list[Event] = []
    name = identifier = ""
    with mesh.stream.stream("GET", "/api/stream/metrics", params={"job_id": job_id, "after": after}) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                identifier = value
            elif field == "data":
                if name == "stream_end":
                    return found
                event = json.loads(value)
                assert (str(event["seq"]), event["event_type"]) == (identifier, name)
                found.append(event)
    raise AssertionError("the stream ended without stream_end")


def assert_gapless(log: list[Event]) -> None:
    """Numbers run from 1 without a gap; the terminal event is the last."""
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
    assert log[-1]["event_type"] == "phase_changed"
    assert log[-1]["data"]["to"] in TERMINAL
    ends = [e for e in log if e["event_type"] == "phase_changed" and e["data"]["to"] in TERMINAL]
    assert len(ends) == 1


def metric_steps(log: list[Event]) -> dict[int, list[int]]:
    """Logged steps by attempt, in the log's order."""
    found: dict[int, list[int]] = {}
    for event in log:
        if event["event_type"] == "metrics_update" and event["data"].get("train_loss") is not None:
            found.setdefault(event["attempt"], []).append(event["data"]["step"])
    return found


def losses(log: list[Event]) -> dict[int, float]:
    """The newest loss of each step."""
    return {
        event["data"]["step"]: event["data"]["train_loss"]
        for event in log
        if event["event_type"] == "metrics_update" and event["data"].get("train_loss") is not None
    }
