"""The one writer of phases: a transition's job, history row, event and messages to webhooks, in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.domain.job import Job, NewJob
from orchestrator.domain.job_machine import Moved
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.webhooks.news import messages_of
from shared.contracts.jobs import TERMINAL


class WriteLost(Exception):
    """Someone else wrote first or took the lease; nothing of this transaction stands."""


def record_new(uow: UnitOfWork, steps: Sequence[tuple[NewJob, Moved]]) -> None:
    """Write down new jobs, each with its first transition; AlreadyThere when a caller used a key before."""
    uow.jobs.add([new for new, _ in steps])
    uow.history.add([first.entry for _, first in steps])
    _tell(uow, [first for _, first in steps])


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
