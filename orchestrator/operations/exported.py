"""What a model version exists as outside the registry's own form: the files, servers and versions its exports made."""

from typing import Any
from urllib.parse import quote

from orchestrator.domain.job import Job
from orchestrator.domain.ports import JobFilter, UnitOfWork, UnitsOfWork
from orchestrator.operations.artifacts import artifacts_of
from shared.contracts.exports import ExportedFile, ModelExport
from shared.contracts.jobs import Phase
from shared.contracts.work import Artifact, JobKind
from shared.kit.artifacts import ArtifactStore

_FILES = (".gguf",)
"""Endings of what an export is about; its card lies beside it."""


def exports_of(
    units: UnitsOfWork, store: ArtifactStore, reference: str, before: str | None, limit: int
) -> list[ModelExport]:
    """Succeeded exports of a version, newest first, those with job ids below `before`. Blocking."""

    def read(uow: UnitOfWork) -> list[tuple[Job, list[Artifact]]]:
        model = uow.models.require(reference, "reference")
        wanted = JobFilter(JobKind.EXPORT, Phase.SUCCEEDED, model_id=model.model_id)
        jobs = uow.jobs.page(wanted, before, limit)
        return [(job, artifacts_of(uow, job.job_id, JobKind.EXPORT)) for job in jobs]

    return [_told(store, job, artifacts) for job, artifacts in units.read(read)]


def _told(store: ArtifactStore, job: Job, artifacts: list[Artifact]) -> ModelExport:
    result: dict[str, Any] = dict(job.result)
    return ModelExport(
        job_id=job.job_id, operation=job.spec["operation"], quantization=job.spec.get("quantization"),
        types=(result.get("file") or {}).get("types") or {}, target=job.spec.get("target"),
        repository=(result.get("hub") or {}).get("repository"),
        model=(result.get("model") or {}).get("reference"), ended_at=job.ended_at,
        files=[file for artifact in artifacts for file in _files(store, job.job_id, artifact)],
    )  # fmt: skip


def _files(store: ArtifactStore, job_id: str, artifact: Artifact) -> list[ExportedFile]:
    way = f"/api/export/jobs/{job_id}/artifacts/{artifact.name}"
    return [
        ExportedFile(
            name=item.path, size_bytes=item.size, sha256=item.sha256, download=f"{way}?path={quote(item.path)}"
        )
        for item in (store.tree(artifact.sha256) if artifact.is_tree else [])
        if item.path.endswith(_FILES)
    ]
