"""Writes decisions down, each in one transaction that only the holder of the lease can commit."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.conclusions import is_model_maker
from orchestrator.domain.decisions import Condemn, End, Move, Wait
from orchestrator.domain.job import Attempt, Job, Leased
from orchestrator.domain.job_machine import WORKING, moved
from orchestrator.domain.limits import queue_deadline
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.recording import WriteLost, record_move
from orchestrator.domain.registration import registered_result
from shared.contracts.jobs import Phase
from shared.contracts.work import Progress


def _progressed(job: Job, progress: Progress) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if progress.step is not None:
        changes["current_step"] = progress.step
    if progress.total_steps is not None:
        changes["total_steps"] = progress.total_steps
    total = changes.get("total_steps", job.total_steps)
    if progress.fraction is not None:
        changes["fraction"] = min(max(progress.fraction, 0.0), 1.0)
    elif progress.step is not None and total:
        changes["fraction"] = min(progress.step / total, 1.0)
    if progress.metrics:
        changes["metrics"] = {**job.metrics, **progress.metrics}
    return changes


def write_move(uow: UnitOfWork, held: Leased, move: Move, now: datetime) -> Job:
    """Change the phase, with everything that belongs to it; WriteLost when the lease is gone.

    A start that would pass a quota or a sweep's parallelism does not happen: the job stays in line.
    """
    if move.to is Phase.STARTING and not uow.line.has_place(held.job):
        return write_entry(uow, held, held.job.why, now)
    changes = dict(move.changes)
    if move.to not in WORKING:
        changes["unreachable_since"] = None
    if move.delay_s:
        changes["next_look_at"] = now + timedelta(seconds=move.delay_s)
    opened = None
    if move.to is Phase.STARTING:
        opened = Attempt(held.job.job_id, held.job.attempt + 1, held.job.next_cause, now, changes["placed_on"])
        changes["attempt"] = opened.number
    if move.to is Phase.RUNNING and held.job.started_at is None:
        changes["started_at"] = now
    if move.to is Phase.SUCCEEDED and is_model_maker(held.job):
        changes["result"] = registered_result(uow, held.job, changes["result"], now)
    step = moved(held.job, move.to, move.why, now, **changes)
    job = record_move(uow, step, held.token, release=move.to not in WORKING)
    if opened is not None:
        uow.attempts.add(opened)
    return job


def write_entry(uow: UnitOfWork, held: Leased, why: str, now: datetime) -> Job:
    """Let a queued job stand in line, and give the lease back."""
    job = replace(held.job, why=why, updated_at=now, is_held=False, next_look_at=queue_deadline(held.job))
    if not uow.jobs.save(job, lease_token=held.token, release=True):
        raise WriteLost(job.job_id)
    return replace(job, version=job.version + 1)


def write_verdict(uow: UnitOfWork, held: Leased, verdict: Condemn, now: datetime) -> Job:
    """Write down what the newest attempt is ended for; it may still succeed first."""
    job = replace(held.job, why=verdict.why, updated_at=now)
    if not uow.jobs.save(job, lease_token=held.token):
        raise WriteLost(job.job_id)
    uow.attempts.condemn(job.job_id, job.attempt, verdict.verdict)
    return replace(job, version=job.version + 1)


def write_end(uow: UnitOfWork, held: Leased, end: End, now: datetime) -> Job:
    """Write down how the newest attempt ended; the phase follows in a move of its own."""
    job = replace(held.job, updated_at=now, unreachable_since=None, **_progressed(held.job, end.progress))
    if end.is_worker_gone:
        job = replace(job, placed_on=None)
    if not uow.jobs.save(job, lease_token=held.token):
        raise WriteLost(job.job_id)
    uow.attempts.end(job.job_id, job.attempt, end.report, now)
    return replace(job, version=job.version + 1)


def write_wait(uow: UnitOfWork, held: Leased, wait: Wait, now: datetime) -> Job:
    """Write down what was seen, and give the lease back until the next look."""
    changes = {} if wait.progress is None else _progressed(held.job, wait.progress)
    if wait.is_unreachable is not None:
        since = held.job.unreachable_since or now
        changes["unreachable_since"] = since if wait.is_unreachable else None
    if any(getattr(held.job, name) != value for name, value in changes.items()) or wait.why != held.job.why:
        changes["updated_at"] = now
    due = None if wait.delay_s is None else now + timedelta(seconds=wait.delay_s)
    job = replace(held.job, why=wait.why, next_look_at=due, **changes)
    if not uow.jobs.save(job, lease_token=held.token, release=True):
        raise WriteLost(job.job_id)
    return replace(job, version=job.version + 1)
