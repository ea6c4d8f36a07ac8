"""What a job left in the artifact store, for download."""

import tarfile
from collections.abc import Iterator

from orchestrator.domain.ports import UnitOfWork
from orchestrator.operations.find import require_kind
from shared.contracts.work import Artifact, JobKind
from shared.kit.artifacts import ArtifactStore, TreeFile
from shared.kit.errors import NotFound

_CHUNK = 1 << 20


def artifacts_of(uow: UnitOfWork, job_id: str, kind: JobKind | None) -> list[Artifact]:
    """A job's artifacts; where attempts left the same name, the newest one's. `kind` None takes any."""
    require_kind(uow.jobs.find(job_id), kind)
    found: dict[str, Artifact] = {}
    for attempt in uow.attempts.of_job(job_id):
        if attempt.exit is not None:
            found |= {artifact.name: artifact for artifact in attempt.exit.artifacts}
    return list(found.values())


def artifact_of(uow: UnitOfWork, job_id: str, kind: JobKind | None, name: str) -> Artifact:
    """The artifact of that name."""
    for artifact in artifacts_of(uow, job_id, kind):
        if artifact.name == name:
            return artifact
    raise NotFound("the job left no artifact of this name", param="name", code="artifact_not_found")


def file_of(store: ArtifactStore, artifact: Artifact, path: str) -> TreeFile:
    """One file of a folder, by its exact path in it."""
    for item in store.tree(artifact.sha256) if artifact.is_tree else []:
        if item.path == path:
            return item
    raise NotFound("the artifact holds no file at this path", param="path", code="artifact_not_found")


def tar_of(store: ArtifactStore, artifact: Artifact) -> Iterator[bytes]:
    """A folder as an uncompressed tar, made while it is sent."""
    for item in store.tree(artifact.sha256):
        entry = tarfile.TarInfo(item.path)
        entry.size = item.size
        yield entry.tobuf(tarfile.PAX_FORMAT)
        with store.local_path(item.sha256).open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
        yield bytes(-item.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
