"""Jobs that ended too long ago go by themselves, by the very path of a deletion; those that are needed stay."""

import asyncio

import pytest

from orchestrator.reconciler.retirement import Retirement
from shared.contracts.work import Outcome
from shared.kit.clock import SystemClock
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.integration.orchestrator.test_deletion import pending, stopped
from tests.waiting import eventually


def retire(mesh: Mesh, days: float | None) -> int:
    """One sweep of a mesh that keeps jobs for so long."""
    return asyncio.run(Retirement(mesh.wiring.units, SystemClock(), mesh.wiring.bells, days).sweep())


def ids(mesh: Mesh) -> set[str]:
    return {job["jobId"] for job in mesh.http.get("/api/jobs").json()["data"]}


@pytest.mark.parametrize("days", [None, 1.0])
def test_jobs_are_kept_without_a_policy_and_until_their_time_has_come(mesh: Mesh, days: float | None) -> None:
    job_id = stopped(mesh)
    assert retire(mesh, days) == 0
    assert ids(mesh) == {job_id}


def test_old_jobs_go_and_the_needed_and_the_living_stay(mesh: Mesh) -> None:
    mesh.worker.slots = 4
    made = mesh.submit()
    mesh.until(made, "running")
    mesh.worker.end(f"{made}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(made, "succeeded")
    old = {stopped(mesh) for _ in range(3)}
    needed = mesh.submit()
    waiting = mesh.submit(dependsOn=[needed])
    mesh.ask(waiting, "pause")
    mesh.ask(needed, "stop")
    mesh.until(needed, "stopped")
    living = mesh.submit()
    mesh.until(living, "running")
    assert retire(mesh, 0) == 3
    assert ids(mesh) == {made, needed, waiting, living}
    eventually(lambda: pending(mesh), lambda left: left == [], within_s=20)
    assert set(mesh.worker.removed) == {f"{job_id}.1" for job_id in old}
    told = [one for one in mesh.http.get("/api/audit").json()["data"] if one["action"] == "delete_job"]
    assert {(one["who"], one["subject"].removeprefix("job:")) for one in told} == {("retention", one) for one in old}
    assert retire(mesh, 0) == 0
