"""Downloads of what a job left behind."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse, Response, StreamingResponse

from orchestrator.dependencies import Store, Units
from orchestrator.operations.artifacts import artifact_of, file_of, tar_of
from shared.contracts.work import JobKind

_INERT = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox"}
"""A report is data to download, whatever a browser would make of it."""


def add_artifact_route(routes: APIRouter, kind: JobKind | None) -> None:
    """Give a job router its download route; `kind` None takes jobs of any kind."""

    @routes.get("/{job_id}/artifacts/{name}", response_class=Response)
    def download(
        job_id: str,
        name: str,
        units: Units,
        store: Store,
        path: Annotated[str | None, Query(max_length=1024, description="one file of a folder")] = None,
    ) -> Response:
        """A file; a folder as a tar, or one of its files when `path` names it."""
        artifact = units.read(lambda uow: artifact_of(uow, job_id, kind, name))
        if path is not None:
            item = file_of(store, artifact, path)
            return FileResponse(
                store.local_path(item.sha256), headers=_INERT, media_type="application/octet-stream",
                filename=item.path.rpartition("/")[2],
            )  # fmt: skip
        if artifact.is_tree:
            disposition = f'attachment; filename="{job_id}-{name}.tar"'
            return StreamingResponse(
                tar_of(store, artifact), headers={**_INERT, "content-disposition": disposition},
                media_type="application/x-tar",
            )  # fmt: skip
        return FileResponse(
            store.local_path(artifact.sha256), headers=_INERT, media_type=artifact.media_type, filename=artifact.name
        )
