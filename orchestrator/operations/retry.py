"""A user's retry: a new job with the spec and the inputs of one that is over."""

from orchestrator.domain.ports import UnitsOfWork
from orchestrator.operations.find import require_kind
from orchestrator.operations.submit import Intake, Requester, Submitted
from orchestrator.operations.wishes import refuse
from shared.contracts.jobs import TERMINAL
from shared.contracts.work import JobKind
from shared.kit.tasks import in_thread


async def retry_job(
    units: UnitsOfWork, intake: Intake, job_id: str, kind: JobKind | None, requester: Requester
) -> Submitted:
    """Submit it again; Conflict while it is not over."""
    job = await in_thread(units.read, lambda uow: require_kind(uow.jobs.find(job_id), kind))
    if job.phase not in TERMINAL:
        raise refuse(job, "retried")
    return await intake.resubmit(job, requester)
