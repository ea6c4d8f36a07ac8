"""Several workers of one service: a job goes where it fits, and is asked about there ever after."""

import httpx
import pytest

from orchestrator.domain.peers import Peers
from shared.contracts.work import Outcome, Progress
from tests.fakes.worker import MADE_MODEL, FakeWorker
from tests.integration.orchestrator.mesh import TRAINING, Mesh
from tests.integration.orchestrator.test_faults import ENGINE_KILLED
from tests.waiting import eventually


class Pair:
    """A mesh whose training service has two workers: `left` with two GPUs, `right` with none."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.left, self.right = FakeWorker("left"), FakeWorker("right")
        self.left.gpus = 2
        others = {name: worker for name, worker in mesh.peers.workers.items() if name != "training"}
        workers = {"left": self.left, "right": self.right, **others}
        mesh.peers = Peers(workers, mesh.stream, {"training": ["left", "right"]})
        mesh.restart()


@pytest.fixture
def pair(mesh: Mesh) -> Pair:
    return Pair(mesh)


def test_jobs_fill_both_workers_and_say_where_they_are(pair: Pair) -> None:
    jobs = [pair.mesh.submit() for _ in range(2)]
    told = [pair.mesh.until(job_id, "running")["worker"] for job_id in jobs]
    assert sorted(told) == ["left", "right"]
    assert len(pair.left.starts) == len(pair.right.starts) == 1
    assert [attempt["worker"] for attempt in pair.mesh.attempts(jobs[0])] == told[:1]


def test_a_job_that_asks_for_gpus_goes_where_they_are(pair: Pair) -> None:
    plain = pair.mesh.submit()
    assert pair.mesh.until(plain, "running")["worker"] == "right"
    with_gpus = pair.mesh.submit(gpus=2, parallel={"processes": 2})
    assert pair.mesh.until(with_gpus, "running")["worker"] == "left"
    assert pair.left.specs[f"{with_gpus}.1"].resources.gpus == 2
    third = pair.mesh.submit(gpus=1)
    eventually(
        lambda: pair.mesh.job(third)["queue"]["waitingFor"], lambda waits_for: waits_for in {"slot", "resources"}
    )


def test_a_job_that_no_worker_is_big_enough_for_says_so_and_holds_nobody_up(pair: Pair) -> None:
    huge = pair.mesh.submit(gpus=8, batchSize=8, parallel={"processes": 8})
    pair.mesh.until(pair.mesh.submit(), "running")
    queue = pair.mesh.job(huge)["queue"]
    assert queue["waitingFor"] == "resources"
    assert queue["why"] == "no worker of the training service has the gpus that it asks for"


def test_a_worker_that_is_away_gets_nothing_new(pair: Pair) -> None:
    pair.right.is_silent = True
    first = pair.mesh.submit()
    assert pair.mesh.until(first, "running")["worker"] == "left"
    second = pair.mesh.submit()
    eventually(lambda: pair.mesh.job(second)["queue"]["waitingFor"], lambda waits_for: waits_for == "slot")
    pair.right.is_silent = False
    assert pair.mesh.until(second, "running")["worker"] == "right"


def test_a_draining_worker_gets_nothing_new(pair: Pair) -> None:
    pair.right.is_draining = True
    assert pair.mesh.until(pair.mesh.submit(), "running")["worker"] == "left"
    pair.mesh.submit()
    assert pair.right.starts == []


def test_the_worker_that_has_an_attempt_is_the_one_that_is_asked(pair: Pair) -> None:
    job_id = pair.mesh.submit()
    assert pair.mesh.until(job_id, "running")["worker"] == "right"
    looks = pair.left.looks
    pair.mesh.restart()
    pair.right.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    pair.mesh.until(job_id, "succeeded")
    assert pair.left.looks == looks
    assert pair.mesh.http.get(f"/api/jobs/{job_id}/logs").json()["text"] == f"output of {job_id}.1\n"


def test_a_job_with_steps_behind_it_goes_back_to_its_worker(pair: Pair) -> None:
    job_id = pair.mesh.submit()
    pair.mesh.until(job_id, "running")
    pair.right.run(f"{job_id}.1", Progress(step=5, total_steps=10))
    eventually(lambda: pair.mesh.job(job_id)["currentStep"], lambda step: step == 5)
    pair.right.end(f"{job_id}.1", Outcome.FAILED, failure=ENGINE_KILLED)
    eventually(lambda: pair.right.views.get(f"{job_id}.2"))
    assert pair.left.starts == []


def test_a_job_with_nothing_to_lose_is_tried_elsewhere(pair: Pair) -> None:
    job_id = pair.mesh.submit()
    pair.mesh.until(job_id, "running")
    pair.right.slots = 0
    pair.right.end(f"{job_id}.1", Outcome.FAILED, failure=ENGINE_KILLED)
    eventually(lambda: pair.left.views.get(f"{job_id}.2"))
    assert [attempt["worker"] for attempt in pair.mesh.attempts(job_id)] == ["right", "left"]


def test_a_worker_that_left_the_settings_is_silent_not_empty(pair: Pair) -> None:
    job_id = pair.mesh.submit()
    pair.mesh.until(job_id, "running")
    mesh = pair.mesh
    mesh.peers = Peers(
        {k: v for k, v in mesh.peers.workers.items() if k != "right"}, mesh.stream, {"training": ["left"]}
    )
    mesh.restart()
    seen = eventually(lambda: mesh.job(job_id), lambda job: job["unreachableSince"] is not None)
    assert "no worker is called right" in seen["why"]
    assert (seen["status"], seen["attempt"]) == ("running", 1)


def test_a_busy_answer_from_something_in_between_moves_no_job(pair: Pair) -> None:
    """A proxy's 503 says nothing about the attempt behind it: starting it elsewhere might run it twice."""
    pair.right.answers_starts_with_503 = True
    job_id = pair.mesh.submit()
    assert pair.mesh.until(job_id, "running")["worker"] == "right"
    assert (pair.right.starts, pair.left.starts) == ([f"{job_id}.1"], [])
    assert pair.mesh.history(job_id) == ["queued", "starting", "running"]


def test_a_list_of_waiting_jobs_says_what_each_waits_for(pair: Pair) -> None:
    for _ in range(2):
        pair.mesh.until(pair.mesh.submit(), "running")
    waiting = pair.mesh.submit()
    pair.mesh.submit(gpus=8, batchSize=8, parallel={"processes": 8})
    eventually(lambda: pair.mesh.job(waiting)["queue"]["waitingFor"], lambda waits_for: waits_for == "slot")
    listed = pair.mesh.http.get("/api/training/jobs").json()["data"]
    assert [job["queue"] and job["queue"]["waitingFor"] for job in listed] == ["resources", "slot", None, None]
    assert [job["queue"]["position"] for job in listed[:2]] == [None, None]


@pytest.mark.parametrize("field", [{"gpus": -1}, {"slots": 0}, {"priority": 11}, {"memoryGb": "1"}, {"priority": 1.5}])
def test_a_wish_out_of_range_is_refused_by_name(http: httpx.Client, field: dict[str, object]) -> None:
    answer = http.post("/api/training/jobs", json={**TRAINING, **field})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, next(iter(field)))
