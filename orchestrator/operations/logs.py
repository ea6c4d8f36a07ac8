"""An attempt's output, asked of the worker that holds it."""

from orchestrator.domain.job import Attempt, Job
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.operations.find import require_kind
from shared.contracts.jobs import LogPage
from shared.contracts.log_lines import LineQuery, LogLines
from shared.contracts.work import JobKind
from shared.kit.errors import NotFound
from shared.kit.tasks import in_thread


async def read_log(
    units: UnitsOfWork, peers: Peers, job_id: str, kind: JobKind | None, attempt: int | None, offset: int, limit: int
) -> LogPage:
    """A slice of the output of `attempt`, or of the newest one; empty before the first attempt."""
    job, wanted = await in_thread(units.read, lambda uow: _found(uow, job_id, kind, attempt))
    if wanted is None:
        return LogPage(attempt=0, offset=offset, next_offset=offset, text="", is_complete=False)
    return await peers.at(wanted.worker or job.worker).log(wanted.attempt_id, offset, limit)


async def read_log_lines(
    units: UnitsOfWork, peers: Peers, job_id: str, kind: JobKind | None, attempt: int | None, query: LineQuery
) -> LogLines:
    """Lines of that output; none before the first attempt."""
    job, wanted = await in_thread(units.read, lambda uow: _found(uow, job_id, kind, attempt))
    if wanted is None:
        return LogLines(attempt=0, data=[], next_offset=query.offset, is_complete=False)
    return await peers.at(wanted.worker or job.worker).log_lines(wanted.attempt_id, query)


def _found(uow: UnitOfWork, job_id: str, kind: JobKind | None, attempt: int | None) -> tuple[Job, Attempt | None]:
    """The job, and the attempt that is asked for; None before the first."""
    job = require_kind(uow.jobs.find(job_id), kind)
    number = attempt if attempt is not None else job.attempt
    if number == 0:
        return job, None
    for one in uow.attempts.of_job(job_id):
        if one.number == number:
            return job, one
    raise NotFound("the job has no such attempt", code="attempt_not_found", param="attempt")
