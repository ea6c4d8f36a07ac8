"""Resuming a paused job: a new attempt that goes on from the newest good checkpoint."""

from orchestrator.domain.audit import By
from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import Moved, moved
from orchestrator.domain.ports import Signals, UnitsOfWork
from orchestrator.domain.queueing.turns import turn_of
from orchestrator.operations.wishes import carry_out, refuse
from shared.contracts.jobs import Phase
from shared.contracts.work import AttemptCause, JobKind


def resume_job(units: UnitsOfWork, signals: Signals, job_id: str, kind: JobKind | None, by: By) -> Job:
    """Queue it again; Conflict unless it is paused."""

    def wish(job: Job) -> Moved:
        if job.phase is not Phase.PAUSED:
            raise refuse(job, "resumed")
        cause = AttemptCause.RESUME if job.attempt else AttemptCause.FIRST
        turn = turn_of(by.at, job.terms.priority)
        # One that never started may still wait for others, or may have waited too long: it is looked at first.
        look = None if job.attempt else by.at
        return moved(job, Phase.QUEUED, "resumed by a user", by.at, next_cause=cause, turn=turn, next_look_at=look)

    return carry_out(units, signals, job_id, kind, by, wish)
