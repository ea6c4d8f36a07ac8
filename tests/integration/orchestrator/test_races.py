"""Many at once: one job per key, one owner per job, no stale write."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import httpx

from orchestrator.domain.job import Leased
from orchestrator.domain.ports import Lease, UnitOfWork
from shared.contracts.jobs import Phase
from tests.integration.orchestrator.mesh import TRAINING, Mesh


def test_fifty_requests_under_one_key_make_one_job(mesh: Mesh) -> None:
    def submit(_: int) -> httpx.Response:
        return mesh.http.post("/api/training/jobs", json=TRAINING, headers={"idempotency-key": "once"})

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(submit, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["jobId"] for answer in answers}) == 1
    assert len(mesh.http.get("/api/jobs").json()["data"]) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


def test_a_key_names_one_request_only(mesh: Mesh) -> None:
    key = {"idempotency-key": "mine"}
    first = mesh.http.post("/api/training/jobs", json=TRAINING, headers=key)
    other = mesh.http.post("/api/training/jobs", json={**TRAINING, "seed": 1}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert other.json()["error"]["param"] == "Idempotency-Key"
    upper = mesh.http.post("/api/training/jobs", json=TRAINING, headers={"idempotency-key": "MINE"})
    assert upper.json()["jobId"] != first.json()["jobId"]


def _make_working(mesh: Mesh, count: int) -> list[str]:
    mesh.worker.is_silent = True
    made = [mesh.submit() for _ in range(count)]
    mesh.stop()

    def work(uow: UnitOfWork) -> None:
        for job_id in made:
            job = uow.jobs.find(job_id)
            assert job is not None
            assert uow.jobs.save(replace(job, phase=Phase.RUNNING, next_look_at=job.created_at))

    mesh.start_units().write(work)
    return made


def test_eight_claimers_never_share_a_job(mesh: Mesh) -> None:
    made = _make_working(mesh, 40)
    units, now = mesh.start_units(), mesh.wiring.clock.now() + timedelta(minutes=1)

    def claim_some(lease: Lease) -> list[Leased]:
        due = units.read(lambda uow: uow.jobs.due(now, 10))
        return units.write(lambda uow: uow.jobs.claim(due, lease))

    def claim(owner: int) -> list[Leased]:
        lease = Lease(f"claimer {owner}", now, now + timedelta(minutes=1))
        return [held for _ in range(10) for held in claim_some(lease)]

    with ThreadPoolExecutor(8) as pool:
        taken = [held.job.job_id for claimed in pool.map(claim, range(8)) for held in claimed]
    assert Counter(taken) == Counter(made)


def test_a_write_under_a_lost_lease_is_dropped(mesh: Mesh) -> None:
    (job_id,) = _make_working(mesh, 1)
    units, now = mesh.start_units(), mesh.wiring.clock.now() + timedelta(minutes=1)
    past = Lease("slow", now - timedelta(seconds=9), now - timedelta(seconds=1))
    (slow,) = units.write(lambda uow: uow.jobs.claim([job_id], replace(past, now=now)))
    (quick,) = units.write(lambda uow: uow.jobs.claim([job_id], Lease("quick", now, now + timedelta(seconds=9))))
    stale = replace(slow.job, why="stale")
    assert not units.write(lambda uow: uow.jobs.save(stale, lease_token=slow.token))
    assert units.write(lambda uow: uow.jobs.save(replace(quick.job, why="fresh"), lease_token=quick.token))
    found = units.read(lambda uow: uow.jobs.find(job_id))
    assert found is not None
    assert found.why == "fresh"


def test_two_writers_of_one_version_do_not_overwrite_each_other(mesh: Mesh) -> None:
    (job_id,) = _make_working(mesh, 1)
    units = mesh.start_units()
    job = units.read(lambda uow: uow.jobs.find(job_id))
    assert job is not None
    assert units.write(lambda uow: uow.jobs.save(replace(job, why="first")))
    assert not units.write(lambda uow: uow.jobs.save(replace(job, why="second")))
