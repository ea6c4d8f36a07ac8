"""A user's retry: a new job with the spec and the inputs of one that is over."""

from orchestrator.domain.job import Job
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.operations.find import require_kind
from orchestrator.operations.requester import Requester
from orchestrator.operations.submit import Intake, Submitted
from orchestrator.operations.wishes import refuse
from shared.contracts.base import JsonObject
from shared.contracts.jobs import TERMINAL
from shared.contracts.work import JobKind
from shared.kit.errors import InvalidRequest
from shared.kit.tasks import in_thread


async def retry_job(
    units: UnitsOfWork, intake: Intake, job_id: str, kind: JobKind | None, requester: Requester, *, as_suggested: bool
) -> Submitted:
    """Submit it again, with the changes that its failure suggests if asked; Conflict while it is not over."""
    job = await in_thread(units.read, lambda uow: require_kind(uow.jobs.find(job_id), kind))
    if job.phase not in TERMINAL:
        raise refuse(job, "retried")
    return await intake.resubmit(job, requester, _suggested(job) if as_suggested else {})


def _suggested(job: Job) -> JsonObject:
    """The changed fields; InvalidRequest when nothing in the spec is to blame."""
    suggestion = None if job.failure is None else job.failure.suggestion
    if suggestion is None or not suggestion.patch:
        raise InvalidRequest(
            "suggested: nothing is known that would mend the job's spec; retry it as it was, or submit other fields",
            param="suggested", code="no_suggestion",
        )  # fmt: skip
    return suggestion.patch
