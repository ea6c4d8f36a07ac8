"""The one writer of phases: a transition's job, history row, event and messages to webhooks, in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.domain.audit import Change
from orchestrator.domain.job import Job, NewJob
from orchestrator.domain.job_machine import Moved
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.webhooks.news import messages_of
from shared.contracts.base import JsonObject
from shared.contracts.jobs import TERMINAL


class WriteLost(Exception):
    """Someone else wrote first or took the lease; nothing of this transaction stands."""


def record_new(uow: UnitOfWork, steps: Sequence[tuple[NewJob, Moved]]) -> None:
    """Write down new jobs, each with its first transition and who asked; AlreadyThere when a key was used before."""
    uow.jobs.add([new for new, _ in steps])
    uow.history.add([first.entry for _, first in steps])
    _tell(uow, [first for _, first in steps])
    # A sweep's children are one change, and the sweep tells of it.
    if alone := [_made(new) for new, _ in steps if new.job.sweep is None]:
        uow.audit.add(*alone)


def _made(new: NewJob) -> Change:
    job = new.job
    action = "retry_job" if job.retry_of else "clone_job" if job.cloned_from else "create_job"
    return Change(job.created_at, new.caller, action, f"job:{job.job_id}", None, told(job))


def told(job: Job) -> JsonObject:
    """A job as the audit tells it: what it was asked to do, and where it is. No field of a spec holds a secret."""
    found: JsonObject = {"kind": job.kind.value, "project": job.project, "status": job.phase.value, "spec": job.spec}
    from_others: JsonObject = {"retryOf": job.retry_of, "clonedFrom": job.cloned_from}
    return found | {name: value for name, value in from_others.items() if value is not None}


def record_move(uow: UnitOfWork, step: Moved, lease_token: str | None = None, *, release: bool = False) -> Job:
    """Write down a transition; WriteLost when the job is no longer the one that was read."""
    if not uow.jobs.save(step.job, lease_token=lease_token, release=release):
        raise WriteLost(step.job.job_id)
    uow.history.add([step.entry])
    _tell(uow, [step])
    if step.job.phase in TERMINAL:
        uow.jobs.wake_dependents([step.job.job_id], step.entry.at)
    return replace(step.job, version=step.job.version + 1)


def _tell(uow: UnitOfWork, steps: Sequence[Moved]) -> None:
    uow.outbox.add([step.event for step in steps])
    messages = messages_of(uow.webhooks.listening(), steps)
    if messages:
        uow.deliveries.add(messages)


def record_moves(uow: UnitOfWork, steps: Sequence[Moved], now: datetime) -> None:
    """Write down transitions of jobs that this transaction holds; WriteLost when it does not."""
    if not uow.jobs.save_all([step.job for step in steps]):
        raise WriteLost(steps[0].job.job_id)
    uow.history.add([step.entry for step in steps])
    _tell(uow, steps)
    over = [step.job.job_id for step in steps if step.job.phase in TERMINAL]
    if over:
        uow.jobs.wake_dependents(over, now)
