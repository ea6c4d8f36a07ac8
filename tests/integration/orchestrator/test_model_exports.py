"""What a model version exists as: each export that succeeded, its files to be fetched."""

import hashlib
from pathlib import Path

import pytest

from imts.client import Client
from imts.client.errors import ClientError
from shared.contracts.work import Outcome
from tests.integration.orchestrator.mesh import API_KEY, Answer, Mesh
from tests.integration.orchestrator.registry import problem_of
from tests.integration.orchestrator.test_exports import export, register

FILE = b"GGUF and what follows"


def finish(mesh: Mesh, job_id: str, result: Answer, files: dict[str, bytes]) -> None:
    """End an export as the engine does: with a folder in the store."""
    mesh.until(job_id, "running")
    artifacts = []
    if files:
        folder = mesh.settings.data_dir / job_id
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        blob = mesh.wiring.store.put_tree(folder)
        artifacts = [{"name": "gguf", "sha256": blob.sha256, "size": blob.size, "is_tree": True}]
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=result, artifacts=artifacts)
    mesh.until(job_id, "succeeded")


def test_the_files_of_a_version_are_listed_and_fetched(mesh: Mesh, tmp_path: Path) -> None:
    register(mesh, "tuned", adapter="b" * 64)
    register(mesh, "other")
    assert mesh.http.get("/api/models/tuned/exports").json() == {"data": [], "hasMore": False, "nextCursor": None}
    small = export(mesh, operation="gguf", modelName="tuned", quantization="q8_0").json()["jobId"]
    finish(mesh, small, {"file": {"types": {"Q8_0": 15}}}, {"a.gguf": FILE, "README.md": b"card"})
    merged = export(mesh, operation="merge", modelName="tuned").json()["jobId"]
    finish(mesh, merged, {"model": {"base": "d" * 64, "template": "chatml"}}, {})
    finish(mesh, export(mesh, operation="gguf", modelName="other").json()["jobId"], {}, {"b.gguf": b"other"})
    export(mesh, operation="gguf", modelName="tuned", quantization="f16")
    page = mesh.http.get("/api/models/tuned@1/exports").json()
    assert [(one["jobId"], one["operation"]) for one in page["data"]] == [(merged, "merge"), (small, "gguf")]
    assert page["data"][0]["model"] == "tuned-merged@1"
    found = page["data"][1]
    assert (found["quantization"], found["types"]) == ("q8_0", {"Q8_0": 15})
    (file,) = found["files"]
    assert (file["name"], file["sizeBytes"]) == ("a.gguf", len(FILE))
    assert file["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert mesh.http.get(file["download"]).content == FILE
    first = mesh.http.get("/api/models/tuned/exports?limit=1").json()
    assert (first["hasMore"], first["nextCursor"]) == (True, merged)
    rest = mesh.http.get(f"/api/models/tuned/exports?limit=1&cursor={merged}").json()
    assert [one["jobId"] for one in rest["data"]] == [small]
    with Client(mesh.url, API_KEY) as client:
        wanted = client.models.exports("tuned").data[1].files[0]
        assert client.models.fetch(wanted, tmp_path / "mine.gguf").read_bytes() == FILE
        with pytest.raises(ClientError, match="other bytes"):
            client.models.fetch(wanted.model_copy(update={"sha256": "0" * 64}), tmp_path / "bad.gguf")
    assert [path.name for path in tmp_path.glob("*.gguf*")] == ["mine.gguf"]


def test_exports_of_what_is_not_there_are_not_found(mesh: Mesh) -> None:
    assert problem_of(mesh.http.get("/api/models/nothing/exports"), 404)["code"] == "model_not_found"
    assert problem_of(mesh.http.get("/api/models/base/exports?cursor=x"), 422)["param"] == "cursor"
