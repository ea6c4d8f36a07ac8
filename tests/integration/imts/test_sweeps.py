"""Sweeps from the user's side: what the command line and the client send, and what they show."""

import json
from typing import Any

import pytest

from imts.client import Client
from shared.contracts.sweeps import SweepSpec
from tests.integration.imts.fake_server import JOB_ID, NOW, FakeServer
from tests.integration.imts.test_cli import imts

SWEEP_ID = "swp-" + "0" * 26


def _trial(number: int, value: float | None) -> dict[str, Any]:
    return {
        "trial": number, "jobId": JOB_ID, "status": "succeeded", "why": "", "progress": 1.0, "value": value,
        "parameters": {"learningRate": 0.01, "loraRank": number},
    }  # fmt: skip


def _sweep(status: str = "queued") -> dict[str, Any]:
    return {
        "sweepId": SWEEP_ID, "name": "rates", "project": "default", "kind": "training", "status": status,
        "why": "2 of 2 trials are over", "trials": 2, "counts": {"succeeded": 2}, "spec": {}, "createdAt": NOW,
        "createdBy": "admin",
    }  # fmt: skip


def _detail(status: str = "queued") -> dict[str, Any]:
    return {**_sweep(status), "best": _trial(2, 0.25), "children": [_trial(1, None), _trial(2, 0.25)]}


def test_a_sweep_is_said_on_one_line(server: FakeServer) -> None:
    server.answers["POST", "/api/sweeps"] = 202, _detail()
    done = imts(
        server.url, "sweep", "run", "modelName=tiny", "dataset=7", "--vary", "learning_rate=1e-5..1e-2:log",
        "--vary", "loraRank=4..64:log:5", "--vary", "validationDataset=8,9", "--vary", "epochs=1,2.5",
        "--method", "random", "--trials", "9", "--parallelism", "2", "--minimize", "train_loss",
        "--idempotency-key", "once",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    asked = server.asked[0]
    spec = SweepSpec.model_validate_json(asked.body)
    assert spec.job.fields == {"modelName": "tiny", "dataset": "7"}
    assert json.loads(asked.body)["parameters"] == {
        "learning_rate": {"min": 1e-5, "max": 1e-2, "scale": "log", "type": "float"},
        "loraRank": {"min": 4, "max": 64, "scale": "log", "type": "int", "steps": 5},
        "validationDataset": ["8", "9"],
        "epochs": [1, 2.5],
    }
    assert (spec.method, spec.max_trials, spec.parallelism, asked.headers["idempotency-key"]) == (
        "random", 9, 2, "once",
    )  # fmt: skip
    assert "2 best" in done.stdout
    assert "learningRate=0.01 loraRank=2" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--vary", "epochs"], "KEY=V1,V2"),
        (["--vary", "epochs=1..2:fast"], "'fast' says nothing about a range"),
        (["--vary", "epochs=1.2.3..4"], "is not a number"),
        (["--vary", "epochs=1,2", "--minimize", "a", "--maximize", "b"], "one objective"),
    ],
)
def test_what_says_nothing_is_refused_before_it_is_sent(server: FakeServer, words: list[str], says: str) -> None:
    refused = imts(server.url, "sweep", "run", "modelName=tiny", *words)
    assert refused.returncode == 2
    assert says in refused.stderr
    assert server.asked == []


def test_sweeps_are_listed_shown_and_stopped(server: FakeServer) -> None:
    server.answers["GET", "/api/sweeps"] = {"data": [_sweep("running")], "hasMore": False}
    server.answers["GET", f"/api/sweeps/{SWEEP_ID}"] = _detail("succeeded")
    server.answers["POST", f"/api/sweeps/{SWEEP_ID}/stop"] = 202, _detail("stopped")
    listed = imts(server.url, "sweep", "list")
    assert SWEEP_ID in listed.stdout
    assert "running" in listed.stdout
    assert json.loads(imts(server.url, "sweep", "show", SWEEP_ID, "--json").stdout)["best"]["trial"] == 2
    assert imts(server.url, "sweep", "stop", SWEEP_ID).stdout.startswith(f"{SWEEP_ID} stopped: ")


def test_the_client_sends_a_key_of_its_own_and_reads_trials(server: FakeServer, client: Client) -> None:
    server.answers["POST", "/api/sweeps"] = 202, _detail()
    server.answers["GET", "/api/jobs"] = {"data": [], "hasMore": False}
    made = client.sweeps.create(job={"kind": "training"}, parameters={"epochs": [1, 2]})
    client.jobs.list(sweep=made.sweep_id)
    assert len(server.asked[0].headers["idempotency-key"]) == 32
    assert [child.value for child in made.children] == [None, 0.25]
    assert server.asked[1].query["sweep"] == SWEEP_ID
