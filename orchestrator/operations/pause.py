"""Pausing a job: a checkpoint, then nothing until `resume`."""

from orchestrator.domain.audit import By
from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import PAUSABLE, Moved, moved
from orchestrator.domain.ports import Signals, UnitsOfWork
from orchestrator.operations.wishes import carry_out, refuse
from shared.contracts.jobs import Phase
from shared.contracts.training import Stage
from shared.contracts.work import JobKind
from shared.kit.errors import Conflict


def pause_job(units: UnitsOfWork, signals: Signals, job_id: str, kind: JobKind | None, by: By) -> Job:
    """Pause it; Conflict when it is over or stopping, or at work on what it could not go on with."""

    def wish(job: Job) -> Moved | None:
        if job.phase in {Phase.PAUSING, Phase.PAUSED}:
            return None
        if job.phase not in PAUSABLE:
            raise refuse(job, "paused")
        if job.phase is Phase.QUEUED:
            return moved(job, Phase.PAUSED, "paused by a user before it ran on", by.at)
        if not goes_on_later(job):
            raise Conflict(
                "stage ppo goes on from no checkpoint, so a pause would lose all it has learnt; let it run, or stop it",
                code="stage_cannot_pause", param="jobId",
            )  # fmt: skip
        return moved(job, Phase.PAUSING, "a user asked to pause it", by.at)

    return carry_out(units, signals, job_id, kind, by, wish)


def goes_on_later(job: Job) -> bool:
    """Whether an attempt takes up what the one before it had done."""
    return job.kind is not JobKind.TRAINING or job.spec.get("stage") != Stage.PPO
