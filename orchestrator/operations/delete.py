"""Deleting a job that is over."""

from orchestrator.domain.audit import By
from orchestrator.domain.deleting import delete_job as delete
from orchestrator.domain.deleting import was_deleted
from orchestrator.domain.ports import Signals, UnitOfWork, UnitsOfWork
from orchestrator.operations.find import require_kind
from shared.contracts.work import JobKind


def delete_job(units: UnitsOfWork, signals: Signals, job_id: str, kind: JobKind | None, by: By) -> None:
    """Delete it here and now; workers and log follow. NotFound when it is gone already."""

    def write(uow: UnitOfWork) -> None:
        job = uow.jobs.find_locked(job_id)
        if job is None and was_deleted(uow, job_id, by):
            return
        delete(uow, require_kind(job, kind), by)

    units.write(write)
    signals.job_deleted()
