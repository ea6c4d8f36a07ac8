"""Deleting a job: its rows go at once; what workers and the log have of it is written down until it is gone too."""

from collections.abc import Sequence
from datetime import datetime

from orchestrator.domain.audit import By, Change
from orchestrator.domain.deletion import Deletion
from orchestrator.domain.job import Attempt, Job
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.recording import told
from shared.contracts.jobs import TERMINAL
from shared.kit.errors import Conflict

DELETE_JOB = "delete_job"


def delete_job(uow: UnitOfWork, job: Job, by: By) -> None:
    """Delete it with all it has; Conflict while it is not over or others need it. The row must be held."""
    refuse_kept(job, uow.models.of_job(job.job_id), uow.deletions.waiting_for(job.job_id))
    uow.deletions.add(_deletion_of(job, uow.attempts.of_job(job.job_id), by.at))
    uow.audit.add(Change(by.at, by.who, DELETE_JOB, f"job:{job.job_id}", told(job), None))


def was_deleted(uow: UnitOfWork, job_id: str, by: By) -> bool:
    """Whether this very request deleted the job: its commit may have been carried out unheard."""
    newest = uow.audit.of(f"job:{job_id}", 1)
    return bool(newest) and (newest[0].action, newest[0].who, newest[0].at) == (DELETE_JOB, by.who, by.at)


def _deletion_of(job: Job, attempts: Sequence[Attempt], now: datetime) -> Deletion:
    places = {attempt.attempt_id: attempt.worker or job.worker for attempt in attempts}
    return Deletion(job.job_id, now, now, has_log=True, attempts=places)


def refuse_kept(job: Job, models: Sequence[ModelVersion], waiting: Sequence[str]) -> None:
    """Conflict that says what to do first, where the job must stay."""
    if job.phase not in TERMINAL:
        raise Conflict(
            f"a job that is {job.phase} cannot be deleted; stop it first and delete it when it is over",
            code=f"job_{job.phase}", param="jobId",
        )  # fmt: skip
    if models:
        raise Conflict(
            f"this job made {models[0].reference}; it says where that model is from, and stays as long as the model",
            code="job_made_model", param="jobId",
        )  # fmt: skip
    if job.sweep is not None:
        raise Conflict(
            f"this job is a trial of sweep {job.sweep}, which is nothing but its trials; they stay",
            code="job_in_sweep", param="jobId",
        )  # fmt: skip
    if waiting:
        raise Conflict(
            f"{min(waiting)} waits for this job; stop it first, or delete this one when that is over",
            code="job_needed", param="jobId",
        )  # fmt: skip
