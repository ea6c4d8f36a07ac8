"""A project's quota holds for running and waiting jobs, and every change of it has a name under it."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from shared.contracts.work import Outcome
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import TRAINING, Mesh
from tests.waiting import eventually


def _submit(mesh: Mesh, project: str) -> str:
    answer = mesh.http.post("/api/training/jobs", json=TRAINING, params={"project": project})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def test_a_project_runs_as_many_jobs_as_its_quota_allows(mesh: Mesh) -> None:
    mesh.worker.slots = 8
    assert mesh.http.put("/api/quotas/alpha", json={"maxRunning": 2}).status_code == 200
    alpha = [_submit(mesh, "alpha") for _ in range(4)]
    beta = _submit(mesh, "beta")
    for job_id in (*alpha[:2], beta):
        mesh.until(job_id, "running")
    told = eventually(lambda: mesh.job(alpha[3])["queue"], lambda queue: queue["waitingFor"] == "quota")
    assert (told["position"], told["estimatedStart"]) == (2, None)
    assert (
        told["why"] == "waiting for the quota of project alpha: 2 of its jobs are at work, 2 may be; 1 job goes first"
    )
    mesh.worker.end(f"{alpha[0]}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(alpha[2], "running")
    assert mesh.job(alpha[3])["status"] == "queued"


def test_a_raised_quota_lets_waiting_jobs_start(mesh: Mesh) -> None:
    mesh.http.put("/api/quotas/alpha", json={"maxRunning": 0})
    job_id = _submit(mesh, "alpha")
    eventually(lambda: mesh.job(job_id)["queue"]["waitingFor"], lambda waits_for: waits_for == "quota")
    mesh.http.put("/api/quotas/alpha", json={})
    mesh.until(job_id, "running")


def test_a_start_that_another_replica_was_quicker_with_does_not_pass_the_quota(mesh: Mesh) -> None:
    mesh.worker.slots = 8
    mesh.http.put("/api/quotas/alpha", json={"maxRunning": 1})
    first = _submit(mesh, "alpha")
    mesh.until(first, "running")
    second = _submit(mesh, "alpha")
    job = mesh.wiring.units.read(lambda uow: uow.jobs.find(second))
    assert job is not None
    assert not mesh.wiring.units.write(lambda uow: uow.line.has_place(job))


def test_a_project_may_be_kept_from_filling_the_queue(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    mesh.http.put("/api/quotas/alpha", json={"maxQueued": 2})
    _submit(mesh, "alpha")
    _submit(mesh, "alpha")
    refused = mesh.http.post("/api/training/jobs", json=TRAINING, params={"project": "alpha"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "project_queue_full")
    assert "retry-after" in refused.headers
    _submit(mesh, "alpha-2")
    _submit(mesh, "beta")


def test_every_change_is_on_record(http: httpx.Client) -> None:
    assert http.get("/api/quotas/alpha").json()["version"] == 0
    http.put("/api/quotas/alpha", json={"max_running": 1})
    http.put("/api/quotas/alpha", json={"maxRunning": 3, "maxQueued": 9})
    found = http.get("/api/quotas/alpha/changes").json()["data"]
    assert [(change["who"], change["action"]) for change in found] == [("admin", "set_quota")] * 2
    assert [change["before"] and change["before"]["max_running"] for change in found] == [1, None]
    assert found[0]["after"] == {"max_running": 3, "max_queued": 9, "version": 2}
    assert [quota["project"] for quota in http.get("/api/quotas").json()["data"]] == ["alpha"]


def test_a_change_on_top_of_somebody_elses_is_refused_when_asked_to(http: httpx.Client) -> None:
    tag = http.put("/api/quotas/alpha", json={"maxRunning": 1}).headers["etag"]
    http.put("/api/quotas/alpha", json={"maxRunning": 2})
    stale = http.put("/api/quotas/alpha", json={"maxRunning": 5}, headers={"if-match": tag})
    assert (stale.status_code, stale.json()["error"]["param"]) == (412, "If-Match")
    fresh = http.get("/api/quotas/alpha").headers["etag"]
    assert http.put("/api/quotas/alpha", json={"maxRunning": 5}, headers={"if-match": fresh}).status_code == 200


def test_many_first_changes_at_once_all_count(http: httpx.Client) -> None:
    def put(limit: int) -> int:
        return http.put("/api/quotas/alpha", json={"maxRunning": limit}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(8))) == {200}
    assert http.get("/api/quotas/alpha").json()["version"] == 8
    assert len(http.get("/api/quotas/alpha/changes").json()["data"]) == 8


@pytest.mark.parametrize("body", [{"maxRunning": -1}, {"maxRunning": 1.5}, {"maxRunning": True}, {"slots": 1}])
def test_a_wrong_quota_is_refused(http: httpx.Client, body: dict[str, object]) -> None:
    assert http.put("/api/quotas/alpha", json=body).status_code == 422
    assert http.put("/api/quotas/..%2Falpha", json={}).status_code in {404, 422}
