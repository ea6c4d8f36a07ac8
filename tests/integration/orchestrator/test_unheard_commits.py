"""A submission whose commit was carried out while its answer was lost is one job, and its caller hears of it."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.orchestrator.mesh import TRAINING, Mesh
from tests.unheard import unheard_commits

JOBS = "INSERT INTO jobs"


def _submit(mesh: Mesh, **headers: str) -> httpx.Response:
    return mesh.http.post("/api/training/jobs", json=TRAINING, headers=headers)


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "once"}])
def test_a_job_whose_commit_was_unheard_is_answered_as_new(mesh: Mesh, headers: dict[str, str]) -> None:
    with unheard_commits(mesh.wiring.database.engine, JOBS) as struck:
        answer = _submit(mesh, **headers)
    assert len(struck) == 1
    assert answer.status_code == 202, answer.text
    assert "idempotency-replayed" not in answer.headers
    assert [job["jobId"] for job in mesh.http.get("/api/jobs").json()["data"]] == [answer.json()["jobId"]]
    mesh.until(answer.json()["jobId"], "running")


def test_many_submissions_at_once_are_each_one_job_when_every_commit_is_unheard(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    with unheard_commits(mesh.wiring.database.engine, JOBS, times=1_000) as struck, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _submit(mesh), range(24)))
    assert struck
    assert {answer.status_code for answer in answers} == {202}
    made = [job["jobId"] for job in mesh.http.get("/api/jobs", params={"limit": 200}).json()["data"]]
    assert sorted(made) == sorted(answer.json()["jobId"] for answer in answers)


def test_the_last_place_of_a_quota_is_not_lost_to_the_job_that_took_it(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    mesh.http.put("/api/quotas/default", json={"maxQueued": 1})
    with unheard_commits(mesh.wiring.database.engine, JOBS) as struck:
        assert _submit(mesh).status_code == 202
    assert len(struck) == 1
    assert _submit(mesh).status_code == 429
