"""A clone is a new job with the fields of any other, patched, and held to the contract of a submission."""

from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
import pytest

from orchestrator.domain.dataset import NewDataset
from shared.contracts.datasets import DatasetFormat
from tests.integration.orchestrator.mesh import Mesh


def _clone(mesh: Mesh, job_id: str, patch: Mapping[str, object] | None = None, **headers: str) -> httpx.Response:
    return mesh.http.post(f"/api/jobs/{job_id}/clone", json=patch, headers=headers)


def _add_version(mesh: Mesh) -> None:
    rows = NewDataset("facts", 12, DatasetFormat.ALPACA, "e" * 64, 120, datetime.now(UTC))
    mesh.wiring.units.write(lambda uow: uow.datasets.add_version(rows))


def test_a_clone_has_every_field_but_those_that_are_patched(mesh: Mesh) -> None:
    job_id = mesh.submit(priority=3, maxRetries=5, queueTimeoutS=600, loraRank=4, maxSteps=9)
    cloned = _clone(mesh, job_id, {"learning_rate": 0.01, "priority": -1, "loraRank": 8, "maxSteps": None})
    assert cloned.status_code == 202
    before, after = mesh.job(job_id), mesh.job(cloned.json()["jobId"])
    assert (after["clonedFrom"], after["retryOf"], before["clonedFrom"]) == (job_id, None, None)
    del before["spec"]["maxSteps"]
    assert after["spec"] == {**before["spec"], "learningRate": 0.01, "loraRank": 8}
    assert after["scheduling"] == {**before["scheduling"], "priority": -1}


def test_a_job_of_any_phase_is_cloned_with_nothing_patched(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    assert mesh.http.post(f"/api/training/jobs/{job_id}/clone").status_code == 202
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    assert _clone(mesh, job_id).json()["spec"] == mesh.job(job_id)["spec"]


def test_names_mean_their_newest_versions_unless_pinned(mesh: Mesh) -> None:
    loose, pinned = mesh.submit(), mesh.submit(dataset="facts@1")
    _add_version(mesh)
    mesh.worker.slots = 4
    for job_id, rows in ((loose, "e" * 64), (pinned, "a" * 64)):
        again = _clone(mesh, job_id).json()["jobId"]
        mesh.until(again, "running")
        assert mesh.worker.specs[f"{again}.1"].datasets["train"].sha256 == rows


def test_a_name_that_was_made_up_is_made_up_again_and_a_chosen_one_stays(mesh: Mesh) -> None:
    made_up, chosen = mesh.submit(), mesh.submit(outputName="mine")
    assert _clone(mesh, made_up, {"finetuningType": "full"}).json()["spec"]["outputName"] == "base-sft-full"
    assert _clone(mesh, chosen, {"finetuningType": "full"}).json()["spec"]["outputName"] == "mine"


@pytest.mark.parametrize(
    ("patch", "status", "param"),
    [
        ({"epochs": 0}, 422, "epochs"),
        ({"batchSize": "4"}, 422, "batchSize"),
        ({"speed": 1}, 422, "speed"),
        ({"evalSteps": 5}, 422, "evalSteps"),
        ({"epochs": 1, "learning_rate": 1, "learningRate": 1}, 422, "learningRate"),
        ({"dataset": "nothing"}, 404, "dataset"),
        ({"dependsOn": ["job-" + "0" * 26]}, 404, "dependsOn"),
    ],
)
def test_a_wrong_field_is_refused_as_in_a_submission(
    mesh: Mesh, patch: dict[str, object], status: int, param: str
) -> None:
    job_id = mesh.submit()
    refused = _clone(mesh, job_id, patch)
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param)
    assert len(mesh.http.get("/api/jobs").json()["data"]) == 1


def test_the_same_key_makes_one_clone(mesh: Mesh) -> None:
    job_id, other = mesh.submit(), mesh.submit()
    first = _clone(mesh, job_id, {"epochs": 2}, **{"idempotency-key": "once"})
    again = _clone(mesh, job_id, {"epochs": 2}, **{"idempotency-key": "once"})
    assert (again.json()["jobId"], again.headers["idempotency-replayed"]) == (first.json()["jobId"], "true")
    for job, patch in ((job_id, {"epochs": 3}), (other, {"epochs": 2})):
        refused = _clone(mesh, job, patch, **{"idempotency-key": "once"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_job_is_cloned_at_its_own_kinds_address_only(mesh: Mesh) -> None:
    tiny = mesh.http.post("/api/models/tiny", json={"name": "tiny", "fromDataset": "facts"}).json()["jobId"]
    assert mesh.http.post(f"/api/analysis/jobs/{tiny}/clone").status_code == 404
    cloned = _clone(mesh, tiny, {"layers": 3}).json()
    assert (cloned["kind"], cloned["spec"]) == ("export", {**mesh.job(tiny)["spec"], "layers": 3})


def test_a_clone_keeps_its_project(mesh: Mesh) -> None:
    body = {"modelName": "base", "dataset": "facts"}
    job_id = mesh.http.post("/api/training/jobs", json=body, params={"project": "alpha"}).json()["jobId"]
    assert _clone(mesh, job_id).json()["project"] == "alpha"
