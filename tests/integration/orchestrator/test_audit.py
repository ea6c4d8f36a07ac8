"""Who changed what is written down with the change, once."""

from tests.integration.orchestrator.mesh import Answer, Mesh


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
    told = changes(mesh)["data"]
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
    assert count == 1
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
