"""Finding one job, its moves and its attempts."""

from orchestrator.domain.job import Attempt, HistoryEntry, Job
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.domain.queueing.explaining import Explained
from orchestrator.operations.queue import Explainer
from shared.contracts.work import JobKind
from shared.kit.errors import NotFound


def job_not_found() -> NotFound:
    """The answer for ids that are unknown or of another kind."""
    return NotFound("there is no such job", code="job_not_found", param="jobId")


def require_kind(job: Job | None, kind: JobKind | None) -> Job:
    """The job, if there is one and it is of the kind that the address names."""
    if job is None or kind not in {None, job.kind}:
        raise job_not_found()
    return job


def find_job(units: UnitsOfWork, job_id: str, kind: JobKind | None) -> Job:
    """The job, if there is one and it is of the kind that the address names."""
    return units.read(lambda uow: require_kind(uow.jobs.find(job_id), kind))


def find_explained(
    units: UnitsOfWork, explainer: Explainer, job_id: str, kind: JobKind | None
) -> tuple[Job, Explained | None]:
    """The job, and what it waits for while it waits."""

    def read(uow: UnitOfWork) -> tuple[Job, Explained | None]:
        job = require_kind(uow.jobs.find(job_id), kind)
        return job, explainer.one(uow, job)

    return units.read(read)


def find_history(units: UnitsOfWork, job_id: str, kind: JobKind | None) -> list[HistoryEntry]:
    """Every move, oldest first."""

    def read(uow: UnitOfWork) -> list[HistoryEntry]:
        return uow.history.of_job(require_kind(uow.jobs.find(job_id), kind).job_id)

    return units.read(read)


def find_attempts(units: UnitsOfWork, job_id: str, kind: JobKind | None) -> list[Attempt]:
    """Every attempt, oldest first."""

    def read(uow: UnitOfWork) -> list[Attempt]:
        return uow.attempts.of_job(require_kind(uow.jobs.find(job_id), kind).job_id)

    return units.read(read)
