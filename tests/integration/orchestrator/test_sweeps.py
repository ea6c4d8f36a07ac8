"""A sweep is one request for many ordinary jobs: all of them or none, so many at once, told and stopped together."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from orchestrator.app import create_app
from orchestrator.domain.decisions import Move
from orchestrator.domain.job import Leased
from orchestrator.domain.ports import Lease, UnitOfWork, UnitsOfWork
from orchestrator.domain.queueing.lanes import Lane
from orchestrator.operations.requester import Requester
from orchestrator.operations.sweeps import SweepIntake
from orchestrator.reconciler.record import write_move
from shared.contracts.jobs import Phase
from shared.contracts.sweeps import SweepSpec
from shared.contracts.work import AttemptSpec, AttemptView, Outcome, Progress
from tests.fakes.worker import MADE_MODEL, FakeWorker
from tests.integration.orchestrator.dying_sweep import SPEC
from tests.integration.orchestrator.mesh import TRAINING, Answer, Mesh
from tests.live_server import live_server
from tests.waiting import eventually

T = TypeVar("T")
JOB = {"kind": "training", **TRAINING}
RATES = {"learningRate": [0.001, 0.01, 0.1]}
LOWEST_LOSS = {"metric": "train_loss", "goal": "minimize"}


def _post(mesh: Mesh, key: str | None = None, **fields: Any) -> httpx.Response:
    body = {"job": JOB, "parameters": RATES, **fields}
    return mesh.http.post("/api/sweeps", json=body, headers={"idempotency-key": key} if key else {})


def _sweep(mesh: Mesh, **fields: Any) -> Answer:
    answer = _post(mesh, **fields)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def _look(mesh: Mesh, sweep: Answer) -> Answer:
    return dict(mesh.http.get(f"/api/sweeps/{sweep['sweepId']}").json())


def _jobs(sweep: Answer) -> list[str]:
    return [child["jobId"] for child in sweep["children"]]


def _finish(mesh: Mesh, job_id: str, outcome: Outcome = Outcome.SUCCEEDED, **metrics: float) -> None:
    mesh.until(job_id, "running")
    mesh.worker.run(f"{job_id}.1", Progress(step=5, total_steps=5, metrics=dict(metrics)))
    mesh.worker.end(f"{job_id}.1", outcome, result=MADE_MODEL)


def _count(mesh: Mesh) -> int:
    return len(mesh.http.get("/api/jobs", params={"limit": 200}).json()["data"])


def test_a_grid_makes_a_job_of_every_combination(mesh: Mesh) -> None:
    grid = {
        "learning_rate": [0.001, 0.01],
        "loraRank": {"min": 4, "max": 16, "scale": "log", "type": "int", "steps": 3},
    }
    made = _post(mesh, parameters=grid, name="rates", project="alpha")
    sweep = made.json()
    assert (made.status_code, made.headers["location"]) == (202, f"/api/sweeps/{sweep['sweepId']}")
    assert (sweep["name"], sweep["project"], sweep["kind"], sweep["trials"]) == ("rates", "alpha", "training", 6)
    assert [(child["trial"], child["parameters"]) for child in sweep["children"]] == [
        (1 + 3 * slow + fast, {"learningRate": rate, "loraRank": rank})
        for slow, rate in enumerate((0.001, 0.01))
        for fast, rank in enumerate((4, 8, 16))
    ]
    last = mesh.job(_jobs(sweep)[-1])
    assert (last["sweepId"], last["trial"], last["project"]) == (sweep["sweepId"], 6, "alpha")
    assert last["parameters"] == {"learningRate": 0.01, "loraRank": 16}
    assert (last["spec"]["learningRate"], last["spec"]["loraRank"], last["spec"]["batchSize"]) == (0.01, 16, 2)


def test_any_field_of_a_submission_may_be_swept(mesh: Mesh) -> None:
    fields = {"priority": [1, 2], "finetuningType": ["lora", "full"], "dataset": ["facts", "facts@1"]}
    sweep = _sweep(mesh, parameters=fields)
    jobs = [mesh.job(job_id) for job_id in _jobs(sweep)]
    seen = {(job["scheduling"]["priority"], job["spec"]["outputName"], job["spec"]["dataset"]) for job in jobs}
    names = {"base-sft-lora", "base-sft-full"}
    assert seen == {(rank, name, data) for rank in (1, 2) for name in names for data in ("facts", "facts@1")}


def test_evaluations_and_analyses_are_swept_too(mesh: Mesh) -> None:
    evaluations = _sweep(
        mesh, job={"kind": "evaluation", "dataset": "facts", "modelName": "base"}, parameters={"maxNewTokens": [8, 16]}
    )
    analyses = _sweep(mesh, job={"kind": "analysis"}, parameters={"dataset": ["facts"]})
    assert [mesh.job(job_id)["kind"] for job_id in _jobs(evaluations) + _jobs(analyses)] == [
        "evaluation", "evaluation", "analysis",
    ]  # fmt: skip


def test_the_same_seed_draws_the_same_trials(mesh: Mesh) -> None:
    space = {"learningRate": {"min": 1e-5, "max": 1e-2, "scale": "log"}}
    drawn = [
        [child["parameters"] for child in _sweep(
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
    refused = _post(mesh, **fields)
    fault = refused.json()["error"]
    assert (refused.status_code, fault["param"]) == (status, param)
    assert says in fault["message"]
    assert (_count(mesh), mesh.http.get("/api/sweeps").json()["data"]) == (0, [])


def test_a_quota_that_the_trials_would_pass_lets_none_of_them_in(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    mesh.http.put("/api/quotas/default", json={"maxQueued": 2})
    refused = _post(mesh)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "project_queue_full")
    assert (_count(mesh), mesh.http.get("/api/sweeps").json()["data"]) == (0, [])
    assert len(_sweep(mesh, parameters={"epochs": [1, 2]})["children"]) == 2


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
    assert (_count(mesh), mesh.http.get("/api/sweeps").json()["data"]) == (0, [])
    made = mesh.http.post("/api/sweeps", json=SPEC, headers={"idempotency-key": "once"})
    assert (made.status_code, len(made.json()["children"]), _count(mesh)) == (202, 40, 40)


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
    assert (swept.is_new, _count(mesh)) == (True, 40)


def test_the_same_key_makes_one_sweep(mesh: Mesh) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _post(mesh, "once"), range(8)))
    assert len({answer.json()["sweepId"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert _count(mesh) == 3
    other = _post(mesh, "once", parameters={"epochs": [1]})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_sweep_tells_where_its_trials_are_and_which_is_best(mesh: Mesh) -> None:
    sweep = _sweep(mesh, objective=LOWEST_LOSS)
    assert (sweep["status"], sweep["counts"], sweep["best"]) == ("queued", {"queued": 3}, None)
    first, second, third = _jobs(sweep)
    _finish(mesh, first, train_loss=0.5)
    mesh.until(first, "succeeded")
    halfway = _look(mesh, sweep)
    assert (halfway["status"], halfway["best"]["trial"], halfway["best"]["value"]) == ("running", 1, 0.5)
    _finish(mesh, second, Outcome.STOPPED, train_loss=0.1)
    mesh.until(second, "stopped", "failed")
    _finish(mesh, third, train_loss=0.25)
    done = eventually(lambda: _look(mesh, sweep), lambda seen: seen["status"] not in {"queued", "running"})
    assert [child["value"] for child in done["children"]] == [0.5, 0.1, 0.25]
    assert done["best"] == {**done["children"][2], "jobId": third, "parameters": {"learningRate": 0.1}}


def test_a_trial_that_fails_stops_no_other(mesh: Mesh) -> None:
    sweep = _sweep(mesh, job={**JOB, "maxRetries": 0}, parameters={"epochs": [1, 2]})
    bad, good = _jobs(sweep)
    mesh.until(bad, "running")
    mesh.worker.end(f"{bad}.1", Outcome.FAILED)
    mesh.until(bad, "failed")
    assert _look(mesh, sweep)["status"] in {"running", "queued"}
    _finish(mesh, good)
    done = eventually(lambda: _look(mesh, sweep), lambda seen: seen["status"] != "running")
    assert (done["status"], done["counts"]) == ("succeeded", {"succeeded": 1, "failed": 1})
    assert done["why"] == "2 of 2 trials are over: 1 succeeded, 1 failed"


class _Counting(FakeWorker):
    """Remembers how many attempts it ever had at once."""

    peak = 0

    async def start(self, spec: AttemptSpec) -> AttemptView:
        view = await super().start(spec)
        self.peak = max(self.peak, len(self.living))
        return view


def _all_at_work(worker: FakeWorker, count: int) -> None:
    eventually(lambda: len(worker.living), lambda living: living == count)


def test_two_replicas_keep_no_more_trials_at_work_than_its_parallelism(mesh: Mesh) -> None:
    worker = _Counting(slots=16)
    mesh.worker = worker
    mesh.peers = replace(mesh.peers, workers={**mesh.peers.workers, "training": worker})
    mesh.settings = mesh.settings.model_copy(update={"port": 0})
    mesh.restart()
    with live_server(create_app(mesh.settings, mesh.peers)):
        sweep = _sweep(mesh, parameters={"epochs": list(range(1, 11))}, parallelism=3)
        other = mesh.submit()
        mesh.until(other, "running")
        told = eventually(
            lambda: mesh.job(_jobs(sweep)[-1])["queue"], lambda queue: queue["waitingFor"] == "parallelism"
        )
        assert told["why"].startswith("waiting for the parallelism of its sweep: 3 of its jobs are at work, 3 may be")
        for left in range(10, 0, -1):
            _all_at_work(worker, 1 + min(left, 3))
            own = next(name for name in worker.living if not name.startswith(other))
            worker.end(own, Outcome.SUCCEEDED, result=MADE_MODEL)
        eventually(lambda: _look(mesh, sweep)["status"], lambda status: status == "succeeded")
    assert worker.peak == 4


def test_starts_that_race_do_not_pass_the_parallelism(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    sweep = _sweep(mesh, parameters={"epochs": list(range(1, 9))}, parallelism=2)
    mesh.stop()
    units, now = mesh.start_units(), mesh.wiring.clock.now()
    lease = Lease("racer", now, now.replace(year=now.year + 1))
    lane = Lane("default", sweep["sweepId"])
    held = units.write(lambda uow: uow.jobs.claim_in_line("training", {lane: 8}, lease)[lane])

    def start(one: Leased) -> Phase:
        move = Move(Phase.STARTING, "a slot is free", {"placed_on": "training"})
        return units.write(lambda uow: write_move(uow, one, move, now)).phase

    with ThreadPoolExecutor(8) as pool:
        phases = list(pool.map(start, held))
    assert Counter(phases) == {Phase.STARTING: 2, Phase.QUEUED: 6}


def test_stopping_a_sweep_stops_what_is_not_over(mesh: Mesh) -> None:
    mesh.worker.slots = 2
    sweep = _sweep(mesh, parameters={"epochs": [1, 2, 3, 4]})
    first, second, *waiting = _jobs(sweep)
    _finish(mesh, first)
    mesh.until(first, "succeeded")
    mesh.until(second, "running")
    mesh.until(waiting[0], "running")
    asked = mesh.http.post(f"/api/sweeps/{sweep['sweepId']}/stop")
    assert asked.status_code == 202
    done = eventually(lambda: _look(mesh, sweep), lambda seen: seen["status"] == "stopped")
    assert done["counts"] == {"succeeded": 1, "stopped": 3}
    assert mesh.history(waiting[1]) == ["queued", "stopped"]
    assert mesh.job(waiting[1])["why"] == "a user stopped its sweep, before it ran on"
    again = mesh.http.post(f"/api/sweeps/{sweep['sweepId']}/stop")
    assert (again.status_code, again.json()["counts"]) == (202, done["counts"])
    changes = mesh.http.get("/api/audit").json()["data"]
    own = [change for change in changes if change["subject"] == f"sweep:{sweep['sweepId']}"]
    assert [(change["who"], change["action"], change["after"]) for change in own] == [
        ("admin", "stop_sweep", {"stopped": 3}),
        ("admin", "create_sweep", {"trials": 4, "project": "default", "parallelism": None}),
    ]


def test_a_thousand_trials_are_made_and_stopped_in_one_go(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    mesh.http.timeout = 60
    sweep = _sweep(mesh, parameters={"seed": list(range(1000))})
    assert sweep["counts"] == {"queued": 1000}
    stopped = mesh.http.post(f"/api/sweeps/{sweep['sweepId']}/stop").json()
    assert (stopped["status"], stopped["counts"]) == ("stopped", {"stopped": 1000})


def test_sweeps_and_their_jobs_are_listed(mesh: Mesh) -> None:
    mesh.submit()
    sweeps = [_sweep(mesh, project=project) for project in ("alpha", "alpha", "beta")]
    ids = [sweep["sweepId"] for sweep in sweeps]
    page = mesh.http.get("/api/sweeps", params={"limit": 2}).json()
    assert ([one["sweepId"] for one in page["data"]], page["hasMore"]) == (ids[:0:-1], True)
    assert "children" not in page["data"][0]
    rest = mesh.http.get("/api/sweeps", params={"cursor": page["nextCursor"]}).json()
    assert [one["sweepId"] for one in rest["data"]] == ids[:1]
    alpha = mesh.http.get("/api/sweeps", params={"project": "alpha"}).json()["data"]
    assert [one["sweepId"] for one in alpha] == ids[1::-1]
    jobs = mesh.http.get("/api/training/jobs", params={"sweep": ids[1]}).json()["data"]
    assert {job["jobId"] for job in jobs} == set(_jobs(sweeps[1]))


def test_a_retry_or_a_clone_of_a_trial_is_a_job_of_its_own(mesh: Mesh) -> None:
    sweep = _sweep(mesh)
    mesh.http.post(f"/api/sweeps/{sweep['sweepId']}/stop")
    first = _jobs(sweep)[0]
    mesh.until(first, "stopped")
    for verb in ("retry", "clone"):
        again = mesh.ask(first, verb).json()
        assert (again["sweepId"], again["trial"], again["parameters"]) == (None, None, {})
    assert len(_look(mesh, sweep)["children"]) == 3


@pytest.mark.parametrize("sweep_id", ["swp-" + "0" * 26, "swp-1", "..%2Fjobs"])
def test_a_sweep_that_is_not_there_is_not_found(mesh: Mesh, sweep_id: str) -> None:
    assert mesh.http.get(f"/api/sweeps/{sweep_id}").status_code in {404, 422}
    assert mesh.http.post(f"/api/sweeps/{sweep_id}/stop").status_code in {404, 422}
