"""A sweep that was made: how many of its trials work at once, which is best, and how it is stopped."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from orchestrator.app import create_app
from orchestrator.domain.decisions import Move
from orchestrator.domain.job import Leased
from orchestrator.domain.ports import Lease
from orchestrator.domain.queueing.lanes import Lane
from orchestrator.reconciler.record import write_move
from shared.contracts.jobs import Phase
from shared.contracts.work import AttemptSpec, AttemptView, Outcome
from tests.fakes.worker import MADE_MODEL, FakeWorker
from tests.integration.orchestrator.mesh import Mesh
from tests.integration.orchestrator.sweeping import JOB, LOWEST_LOSS, finish, jobs_of, look, make_sweep
from tests.live_server import live_server
from tests.waiting import eventually


def test_a_sweep_tells_where_its_trials_are_and_which_is_best(mesh: Mesh) -> None:
    sweep = make_sweep(mesh, objective=LOWEST_LOSS)
    assert (sweep["status"], sweep["counts"], sweep["best"]) == ("queued", {"queued": 3}, None)
    first, second, third = jobs_of(sweep)
    finish(mesh, first, train_loss=0.5)
    mesh.until(first, "succeeded")
    halfway = look(mesh, sweep)
    assert (halfway["status"], halfway["best"]["trial"], halfway["best"]["value"]) == ("running", 1, 0.5)
    finish(mesh, second, Outcome.STOPPED, train_loss=0.1)
    mesh.until(second, "stopped", "failed")
    finish(mesh, third, train_loss=0.25)
    done = eventually(lambda: look(mesh, sweep), lambda seen: seen["status"] not in {"queued", "running"})
    assert [child["value"] for child in done["children"]] == [0.5, 0.1, 0.25]
    assert done["best"] == {**done["children"][2], "jobId": third, "parameters": {"learningRate": 0.1}}


def test_a_trial_that_fails_stops_no_other(mesh: Mesh) -> None:
    sweep = make_sweep(mesh, job={**JOB, "maxRetries": 0}, parameters={"epochs": [1, 2]})
    bad, good = jobs_of(sweep)
    mesh.until(bad, "running")
    mesh.worker.end(f"{bad}.1", Outcome.FAILED)
    mesh.until(bad, "failed")
    assert look(mesh, sweep)["status"] in {"running", "queued"}
    finish(mesh, good)
    done = eventually(lambda: look(mesh, sweep), lambda seen: seen["status"] != "running")
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
        sweep = make_sweep(mesh, parameters={"epochs": list(range(1, 11))}, parallelism=3)
        other = mesh.submit()
        mesh.until(other, "running")
        told = eventually(
            lambda: mesh.job(jobs_of(sweep)[-1])["queue"], lambda queue: queue["waitingFor"] == "parallelism"
        )
        assert told["why"].startswith("waiting for the parallelism of its sweep: 3 of its jobs are at work, 3 may be")
        for left in range(10, 0, -1):
            _all_at_work(worker, 1 + min(left, 3))
            own = next(name for name in worker.living if not name.startswith(other))
            worker.end(own, Outcome.SUCCEEDED, result=MADE_MODEL)
        eventually(lambda: look(mesh, sweep)["status"], lambda status: status == "succeeded")
    assert worker.peak == 4


def test_starts_that_race_do_not_pass_the_parallelism(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    sweep = make_sweep(mesh, parameters={"epochs": list(range(1, 9))}, parallelism=2)
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
    sweep = make_sweep(mesh, parameters={"epochs": [1, 2, 3, 4]})
    first, second, *waiting = jobs_of(sweep)
    finish(mesh, first)
    mesh.until(first, "succeeded")
    mesh.until(second, "running")
    mesh.until(waiting[0], "running")
    asked = mesh.http.post(f"/api/sweeps/{sweep['sweepId']}/stop")
    assert asked.status_code == 202
    done = eventually(lambda: look(mesh, sweep), lambda seen: seen["status"] == "stopped")
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
    sweep = make_sweep(mesh, parameters={"seed": list(range(1000))})
    assert sweep["counts"] == {"queued": 1000}
    stopped = mesh.http.post(f"/api/sweeps/{sweep['sweepId']}/stop").json()
    assert (stopped["status"], stopped["counts"]) == ("stopped", {"stopped": 1000})


def test_sweeps_and_their_jobs_are_listed(mesh: Mesh) -> None:
    mesh.submit()
    sweeps = [make_sweep(mesh, project=project) for project in ("alpha", "alpha", "beta")]
    ids = [sweep["sweepId"] for sweep in sweeps]
    page = mesh.http.get("/api/sweeps", params={"limit": 2}).json()
    assert ([one["sweepId"] for one in page["data"]], page["hasMore"]) == (ids[:0:-1], True)
    assert "children" not in page["data"][0]
    rest = mesh.http.get("/api/sweeps", params={"cursor": page["nextCursor"]}).json()
    assert [one["sweepId"] for one in rest["data"]] == ids[:1]
    alpha = mesh.http.get("/api/sweeps", params={"project": "alpha"}).json()["data"]
    assert [one["sweepId"] for one in alpha] == ids[1::-1]
    jobs = mesh.http.get("/api/training/jobs", params={"sweep": ids[1]}).json()["data"]
    assert {job["jobId"] for job in jobs} == set(jobs_of(sweeps[1]))


def test_a_retry_or_a_clone_of_a_trial_is_a_job_of_its_own(mesh: Mesh) -> None:
    sweep = make_sweep(mesh)
    mesh.http.post(f"/api/sweeps/{sweep['sweepId']}/stop")
    first = jobs_of(sweep)[0]
    mesh.until(first, "stopped")
    for verb in ("retry", "clone"):
        again = mesh.ask(first, verb).json()
        assert (again["sweepId"], again["trial"], again["parameters"]) == (None, None, {})
    assert len(look(mesh, sweep)["children"]) == 3
