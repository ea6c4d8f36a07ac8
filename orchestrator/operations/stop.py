"""Stopping a job; what trained so far stays."""

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
        if job.phase not in STOPPABLE:
            return None
        if job.phase in RESTING:
            return moved(job, Phase.STOPPED, "stopped by a user before it ran on", by.at, failure=stopped())
        return moved(job, Phase.STOPPING, "a user asked to stop it", by.at)

    return carry_out(units, signals, job_id, kind, by, wish)
