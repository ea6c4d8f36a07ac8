"""An attempt's output, asked of the worker that holds it."""

from orchestrator.domain.job import Attempt, Job
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.operations.find import require_kind
from shared.contracts.jobs import LogPage
from shared.contracts.work import JobKind
from shared.kit.errors import NotFound
from shared.kit.tasks import in_thread


async def read_log(
    units: UnitsOfWork, peers: Peers, job_id: str, kind: JobKind | None, attempt: int | None, offset: int, limit: int
) -> LogPage:
    """A slice of the output of `attempt`, or of the newest one; empty before the first attempt."""
    job, attempts = await in_thread(units.read, lambda uow: _found(uow, job_id, kind))
    number = attempt if attempt is not None else job.attempt
    if number == 0:
        return LogPage(attempt=0, offset=offset, next_offset=offset, text="", is_complete=False)
    wanted = next((one for one in attempts if one.number == number), None)
    if wanted is None:
        raise NotFound("the job has no such attempt", code="attempt_not_found", param="attempt")
    return await peers.at(wanted.worker or job.worker).log(wanted.attempt_id, offset, limit)


def _found(uow: UnitOfWork, job_id: str, kind: JobKind | None) -> tuple[Job, list[Attempt]]:
    job = require_kind(uow.jobs.find(job_id), kind)
    return job, uow.attempts.of_job(job_id)
