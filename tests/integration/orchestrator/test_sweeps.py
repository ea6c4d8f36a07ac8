"""Making a sweep: every trial is checked, and all are written down once, or none."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.operations.requester import Requester
from orchestrator.operations.sweeps import SweepIntake, find_sweep
from shared.contracts.sweeps import SweepSpec
from tests.integration.orchestrator.dying_sweep import SPEC
from tests.integration.orchestrator.mesh import Mesh
from tests.integration.orchestrator.sweeping import (
    JOB,
    count_jobs,
    jobs_of,
    make_sweep,
    post_sweep,
)

T = TypeVar("T")


def test_a_grid_makes_a_job_of_every_combination(mesh: Mesh) -> None:
    grid = {
        "learning_rate": [0.001, 0.01],
        "loraRank": {"min": 4, "max": 16, "scale": "log", "type": "int", "steps": 3},
    }
    made = post_sweep(mesh, parameters=grid, name="rates", project="alpha")
    sweep = made.json()
    assert (made.status_code, made.headers["location"]) == (202, f"/api/sweeps/{sweep['sweepId']}")
    assert (sweep["name"], sweep["project"], sweep["kind"], sweep["trials"]) == ("rates", "alpha", "training", 6)
    assert [(child["trial"], child["parameters"]) for child in sweep["children"]] == [
        (1 + 3 * slow + fast, {"learningRate": rate, "loraRank": rank})
        for slow, rate in enumerate((0.001, 0.01))
        for fast, rank in enumerate((4, 8, 16))
    ]
    last = mesh.job(jobs_of(sweep)[-1])
    assert (last["sweepId"], last["trial"], last["project"]) == (sweep["sweepId"], 6, "alpha")
    assert last["parameters"] == {"learningRate": 0.01, "loraRank": 16}
    assert (last["spec"]["learningRate"], last["spec"]["loraRank"], last["spec"]["batchSize"]) == (0.01, 16, 2)


def test_any_field_of_a_submission_may_be_swept(mesh: Mesh) -> None:
    fields = {"priority": [1, 2], "finetuningType": ["lora", "full"], "dataset": ["facts", "facts@1"]}
    sweep = make_sweep(mesh, parameters=fields)
    jobs = [mesh.job(job_id) for job_id in jobs_of(sweep)]
    seen = {(job["scheduling"]["priority"], job["spec"]["outputName"], job["spec"]["dataset"]) for job in jobs}
    names = {"base-sft-lora", "base-sft-full"}
    assert seen == {(rank, name, data) for rank in (1, 2) for name in names for data in ("facts", "facts@1")}


def test_evaluations_and_analyses_are_swept_too(mesh: Mesh) -> None:
    evaluations = make_sweep(
        mesh, job={"kind": "evaluation", "dataset": "facts", "modelName": "base"}, parameters={"maxNewTokens": [8, 16]}
    )
    analyses = make_sweep(mesh, job={"kind": "analysis"}, parameters={"dataset": ["facts"]})
    assert [mesh.job(job_id)["kind"] for job_id in jobs_of(evaluations) + jobs_of(analyses)] == [
        "evaluation", "evaluation", "analysis",
    ]  # fmt: skip


def test_the_same_seed_draws_the_same_trials(mesh: Mesh) -> None:
    space = {"learningRate": {"min": 1e-5, "max": 1e-2, "scale": "log"}}
    drawn = [
        [child["parameters"] for child in make_sweep(
            mesh, parameters=space, method="random", maxTrials=4, seed=seed
        )["children"]]
        for seed in (7, 7, 8)
    ]  # fmt: skip
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 4


@pytest.mark.parametrize(
    ("fields", "status", "param", "says"),
    [
        ({"parameters": {"epochs": [1, 0]}}, 422, "parameters.epochs", "trial 2 with epochs = 0: epochs: "),
        ({"parameters": {"speed": [1]}}, 422, "parameters.speed", "is not a field of this request"),
        ({"parameters": {"epochs.x": [1]}}, 422, "parameters.epochs.x", "trial 1 with epochs.x = 1"),
        ({"job": {**JOB, "batchSize": 0}}, 422, "job.batchSize", "trial 1: batchSize: "),
        ({"parameters": {"evalSteps": [5]}}, 422, "parameters.evalSteps", "needs validationDataset"),
        ({"parameters": {"dataset": ["facts", "no"]}}, 404, "parameters.dataset", 'trial 2 with dataset = "no"'),
        ({"job": {**JOB, "modelName": "no"}}, 404, "job.modelName", "trial 1: "),
        ({"parameters": {"epochs": [1], "loraRank": {"min": 1, "max": 2}}}, 422, None, "a grid needs steps"),
        ({"parameters": {"lora_rank": [1], "loraRank": [2]}}, 422, "loraRank", "is named twice"),
        ({"parameters": {"seed": list(range(40))}, "maxTrials": 39}, 422, "maxTrials", "has 40 trials, 39 are allowed"),
    ],
)
def test_one_wrong_trial_is_named_and_none_is_made(
    mesh: Mesh, fields: dict[str, Any], status: int, param: str | None, says: str
) -> None:
    refused = post_sweep(mesh, **fields)
    fault = refused.json()["error"]
    assert (refused.status_code, fault["param"]) == (status, param)
    assert says in fault["message"]
    assert (count_jobs(mesh), mesh.http.get("/api/sweeps").json()["data"]) == (0, [])


def test_a_quota_that_the_trials_would_pass_lets_none_of_them_in(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    mesh.http.put("/api/quotas/default", json={"maxQueued": 2})
    refused = post_sweep(mesh)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "project_queue_full")
    assert (count_jobs(mesh), mesh.http.get("/api/sweeps").json()["data"]) == (0, [])
    assert len(make_sweep(mesh, parameters={"epochs": [1, 2]})["children"]) == 2


def test_an_orchestrator_that_is_killed_while_it_makes_a_sweep_leaves_nothing_of_it(
    mesh: Mesh, database_url: str, tmp_path: Path
) -> None:
    mesh.worker.slots = 0
    command = [
        sys.executable,
        "-m",
        "tests.integration.orchestrator.dying_sweep",
        database_url,
        str(tmp_path / "dying"),
    ]
    dead = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert (count_jobs(mesh), mesh.http.get("/api/sweeps").json()["data"]) == (0, [])
    made = mesh.http.post("/api/sweeps", json=SPEC, headers={"idempotency-key": "once"})
    assert (made.status_code, len(made.json()["children"]), count_jobs(mesh)) == (202, 40, 40)


class _Unheard:
    """Transactions that are carried out, and run again because nobody heard of it."""

    def __init__(self, units: UnitsOfWork) -> None:
        self.read = units.read
        self._units = units

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        self._units.write(work)
        return self._units.write(work)


@pytest.mark.parametrize("key", [None, "once"])
def test_a_sweep_whose_commit_went_unheard_is_there_once(mesh: Mesh, key: str | None) -> None:
    wiring = mesh.wiring
    intake = SweepIntake(_Unheard(wiring.units), wiring.intake, wiring.clock, wiring.bells)
    swept = intake.create(SweepSpec.model_validate(SPEC), Requester("admin", idempotency_key=key))
    assert (find_sweep(wiring.units, swept.thing.sweep_id)[0].sweep, count_jobs(mesh)) == (swept.thing, 40)


def test_the_same_key_makes_one_sweep(mesh: Mesh) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post_sweep(mesh, "once"), range(8)))
    assert len({answer.json()["sweepId"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert count_jobs(mesh) == 3
    other = post_sweep(mesh, "once", parameters={"epochs": [1]})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("sweep_id", ["swp-" + "0" * 26, "swp-1", "..%2Fjobs"])
def test_a_sweep_that_is_not_there_is_not_found(mesh: Mesh, sweep_id: str) -> None:
    assert mesh.http.get(f"/api/sweeps/{sweep_id}").status_code in {404, 422}
    assert mesh.http.post(f"/api/sweeps/{sweep_id}/stop").status_code in {404, 422}
