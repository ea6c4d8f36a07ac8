"""Who changed what is written down with the change, once."""

from shared.contracts.work import Outcome
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import TRAINING, Answer, Mesh
from tests.unheard import unheard_commits


def changes(mesh: Mesh, **query: int) -> Answer:
    """GET /api/audit."""
    answer = mesh.http.get("/api/audit", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_wish_about_a_job_names_who_had_it_and_what_it_changed(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.ask(job_id, "pause")
    mesh.until(job_id, "paused")
    mesh.ask(job_id, "resume")
    mesh.until(job_id, "running")
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    told = changes(mesh)["data"][:-1]
    assert [(one["action"], one["before"]["status"], one["after"]["status"]) for one in reversed(told)] == [
        ("move_job_to_pausing", "running", "pausing"), ("move_job_to_queued", "paused", "queued"),
        ("move_job_to_stopping", "running", "stopping"),
    ]  # fmt: skip
    assert {(one["who"], one["subject"]) for one in told} == {("admin", f"job:{job_id}")}


def test_a_wish_that_changes_nothing_or_is_refused_leaves_no_row(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    count = len(changes(mesh)["data"])
    assert count == 2
    assert mesh.ask(job_id, "stop").status_code == 202
    assert mesh.ask(job_id, "pause").status_code == 409
    assert len(changes(mesh)["data"]) == count


def test_quotas_and_workers_are_in_it_and_it_comes_in_pages(mesh: Mesh) -> None:
    for most in (1, 2, 3):
        assert mesh.http.put("/api/quotas/default", json={"maxRunning": most}).status_code == 200
    assert mesh.http.post("/api/workers/training/drain").status_code == 200
    first = changes(mesh, limit=3)
    assert [one["subject"] for one in first["data"]] == ["worker:training", "quota:default", "quota:default"]
    assert first["hasMore"]
    second = changes(mesh, limit=3, cursor=first["nextCursor"])
    assert [one["subject"] for one in second["data"]] == ["quota:default"]
    assert (second["hasMore"], second["nextCursor"]) == (False, None)
    assert second["data"][0]["before"] is None


def test_who_asked_for_a_job_or_a_retry_is_written_down_with_what_was_asked(mesh: Mesh) -> None:
    key = {"idempotency-key": "mine"}
    answers = [mesh.http.post("/api/training/jobs", json=TRAINING, headers=key) for _ in range(2)]
    job_id = answers[0].json()["jobId"]
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    retried = mesh.ask(job_id, "retry").json()
    second, _, first = changes(mesh)["data"]
    assert (first["who"], first["action"], first["subject"]) == ("admin", "create_job", f"job:{job_id}")
    assert first["before"] is None
    assert first["after"] == {
        "kind": "training", "project": "default", "status": "queued", "spec": mesh.job(job_id)["spec"],
    }  # fmt: skip
    assert (second["action"], second["subject"]) == ("retry_job", f"job:{retried['jobId']}")
    assert second["after"]["retryOf"] == job_id


def test_a_submission_that_is_refused_leaves_no_row(mesh: Mesh) -> None:
    refused = mesh.http.post("/api/training/jobs", json={**TRAINING, "dataset": "nothing"})
    assert refused.status_code == 404
    assert changes(mesh)["data"] == []


def test_a_model_that_a_job_made_names_the_job(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    made = mesh.until(job_id, "succeeded")["result"]["model"]
    newest = changes(mesh)["data"][0]
    assert (newest["who"], newest["action"]) == (f"job:{job_id}", "register_model")
    assert newest["subject"] == f"model:{made['modelId']}"
    assert (newest["after"]["name"], newest["after"]["adapter"]) == (made["name"], "b" * 64)


def test_a_submission_whose_commit_was_unheard_is_written_down_once(mesh: Mesh) -> None:
    with unheard_commits(mesh.wiring.database.engine, "INSERT INTO jobs") as struck:
        job_id = mesh.submit()
    assert len(struck) == 1
    assert [one["subject"] for one in changes(mesh)["data"]] == [f"job:{job_id}"]
