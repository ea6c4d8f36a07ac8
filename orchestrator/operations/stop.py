"""Stopping a job; what trained so far stays."""

from datetime import datetime

from orchestrator.domain.audit import By
from orchestrator.domain.conclusions import stopped
from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import RESTING, STOPPABLE, Moved, moved
from orchestrator.domain.ports import Signals, UnitsOfWork
from orchestrator.operations.wishes import carry_out
from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind


def stop_job(units: UnitsOfWork, signals: Signals, job_id: str, kind: JobKind | None, by: By) -> Job:
    """Stop it; a job that is over or stopping already is answered as it is."""

    def wish(job: Job) -> Moved | None:
        return stopping(job, by.at, "a user asked to stop it") if job.phase in STOPPABLE else None

    return carry_out(units, signals, job_id, kind, by, wish)


def stopping(job: Job, now: datetime, why: str) -> Moved:
    """The move towards the end of a job that can be stopped; one that rests is stopped at once."""
    if job.phase in RESTING:
        return moved(job, Phase.STOPPED, f"{why}, before it ran on", now, failure=stopped())
    return moved(job, Phase.STOPPING, why, now)
