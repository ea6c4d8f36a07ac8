"""Pausing a job: a checkpoint, then nothing until `resume`."""

from orchestrator.domain.audit import By
from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import PAUSABLE, Moved, moved
from orchestrator.domain.ports import Signals, UnitsOfWork
from orchestrator.operations.wishes import carry_out, refuse
from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind


def pause_job(units: UnitsOfWork, signals: Signals, job_id: str, kind: JobKind | None, by: By) -> Job:
    """Pause it; Conflict when it is over or stopping."""

    def wish(job: Job) -> Moved | None:
        if job.phase in {Phase.PAUSING, Phase.PAUSED}:
            return None
        if job.phase not in PAUSABLE:
            raise refuse(job, "paused")
        if job.phase is Phase.QUEUED:
            return moved(job, Phase.PAUSED, "paused by a user before it ran on", by.at)
        return moved(job, Phase.PAUSING, "a user asked to pause it", by.at)

    return carry_out(units, signals, job_id, kind, by, wish)
