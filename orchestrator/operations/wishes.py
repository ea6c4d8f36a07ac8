"""How a user's wish about a job is carried out: read locked, moved, written, the reconciler woken."""

from collections.abc import Callable

from orchestrator.domain.audit import By, Change
from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import Moved
from orchestrator.domain.ports import Signals, UnitOfWork, UnitsOfWork
from orchestrator.domain.recording import record_move
from orchestrator.operations.find import require_kind
from shared.contracts.base import JsonObject
from shared.contracts.jobs import TERMINAL
from shared.contracts.work import JobKind
from shared.kit.errors import Conflict


def carry_out(
    units: UnitsOfWork, signals: Signals, job_id: str, kind: JobKind | None, by: By, wish: Callable[[Job], Moved | None]
) -> Job:
    """Apply `wish` to the job as it is now; None from it means that nothing is left to do.

    Who wished it is written down with the move.
    """

    def write(uow: UnitOfWork) -> tuple[Job, bool]:
        job = require_kind(uow.jobs.find_locked(job_id), kind)
        step = wish(job)
        if step is None:
            return job, False
        before: JsonObject = {"status": job.phase.value}
        after: JsonObject = {"status": step.job.phase.value, "why": step.job.why}
        uow.audit.add(Change(by.at, by.who, f"move_job_to_{step.job.phase}", f"job:{job_id}", before, after))
        return record_move(uow, step), True

    job, has_moved = units.write(write)
    if has_moved:
        signals.job_changed(job_id)
        signals.outbox_grew()
    return job


def refuse(job: Job, verb: str) -> Conflict:
    """A wish that does not fit the present phase."""
    hint = "; `retry` makes a new job of it" if job.phase in TERMINAL else ""
    return Conflict(f"a job that is {job.phase} cannot be {verb}{hint}", code=f"job_{job.phase}", param="jobId")
