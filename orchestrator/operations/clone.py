"""A clone: a new job with the fields of any other, but for those that are patched."""

from dataclasses import replace

from orchestrator.domain.ports import UnitsOfWork
from orchestrator.operations.drafting import fields_of, spelled, submission_of
from orchestrator.operations.find import find_job
from orchestrator.operations.requester import Requester
from orchestrator.operations.submit import Intake, Submitted
from shared.contracts.base import JsonObject
from shared.contracts.work import JobKind
from shared.kit.tasks import in_thread


async def clone_job(
    units: UnitsOfWork, intake: Intake, job_id: str, kind: JobKind | None, requester: Requester, patch: JsonObject
) -> Submitted:
    """Submit its fields again, whatever its phase; names are looked up anew, so that unpinned ones mean the newest."""
    job = await in_thread(find_job, units, job_id, kind)
    submission = submission_of(job.kind, {**fields_of(job), **spelled(patch)})
    return await intake.submit(submission, replace(requester, project=job.project), cloned_from=job.job_id)
