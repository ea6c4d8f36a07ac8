"""What a job left behind is downloaded as it was stored: a file, a folder as a tar, or one of its files."""

import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.domain.job import Attempt
from orchestrator.domain.ports import UnitOfWork
from shared.contracts.work import Artifact, AttemptCause, ExitReport, Outcome
from tests.integration.orchestrator.registry import Registry, problem_of, running_registry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILES = {"config.json": b"{}", "deep/er/weights.safetensors": bytes(range(256)) * 9000, "empty": b"", "名.txt": b"x"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running_registry("", tmp_path / "orchestrator") as running:
        yield running


def job_with_artifacts(registry: Registry, folder: Path) -> str:
    """A job whose second-last attempt left a report and whose last left a newer one, and a folder."""
    registry.upload('{"text": "hello"}')
    job_id = str(registry.user.post("/api/analysis/jobs", json={"dataset": "numbers"}).json()["jobId"])
    store = registry.wiring.store
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    tree = store.put_tree(folder)

    def write(uow: UnitOfWork) -> None:
        for number, report in ((7, b'{"old": 1}'), (8, b"<script>alert(1)</script>")):
            blob = store.put_bytes(report)
            artifacts = [Artifact(name="report.html", sha256=blob.sha256, size=blob.size, media_type="text/html")]
            if number == 7:
                artifacts.append(Artifact(name="model", sha256=tree.sha256, size=tree.size, is_tree=True))
            uow.attempts.add(Attempt(job_id, number, AttemptCause.FIRST, NOW))
            ended = ExitReport(outcome=Outcome.SUCCEEDED, ended_at=NOW, artifacts=artifacts)
            uow.attempts.end(job_id, number, ended, NOW)

    registry.wiring.units.write(write)
    return job_id


def test_files_and_folders_come_back_as_they_were(registry: Registry, tmp_path: Path) -> None:
    job_id = job_with_artifacts(registry, tmp_path / "tree")
    get = registry.user.get
    for kind in ("/api/analysis", "/api"):
        base = f"{kind}/jobs/{job_id}/artifacts"
        assert {item["name"] for item in get(base).json()["data"]} == {"report.html", "model"}
        report = get(f"{base}/report.html")
        assert report.content == b"<script>alert(1)</script>"
        assert report.headers["content-disposition"].startswith("attachment")
        assert report.headers["x-content-type-options"] == "nosniff"
        one = get(f"{base}/model", params={"path": "deep/er/weights.safetensors"})
        assert one.content == FILES["deep/er/weights.safetensors"]
    with tarfile.open(fileobj=io.BytesIO(get(f"{base}/model").content)) as tar:
        unpacked = {entry.name: (tar.extractfile(entry) or io.BytesIO()).read() for entry in tar.getmembers()}
    assert unpacked == FILES


def test_nothing_outside_the_job_can_be_named(registry: Registry, tmp_path: Path) -> None:
    job_id = job_with_artifacts(registry, tmp_path / "tree")
    get = registry.user.get
    base = f"/api/analysis/jobs/{job_id}/artifacts"
    for path in ("../config.json", "/etc/passwd", "deep", "", "config.json\0"):
        assert problem_of(get(f"{base}/model", params={"path": path}), 404)["code"] == "artifact_not_found"
    assert problem_of(get(f"{base}/report.html", params={"path": "config.json"}), 404)["param"] == "path"
    for name in ("other", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a%00", "a%0d%0aX:1"):
        assert get(f"{base}/{name}").status_code == 404
    assert problem_of(get(f"/api/training/jobs/{job_id}/artifacts/model"), 404)["code"] == "job_not_found"
    assert problem_of(get(f"/api/jobs/job-{'0' * 26}/artifacts/model"), 404)["code"] == "job_not_found"
