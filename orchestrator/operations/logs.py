"""An attempt's output, asked of the worker that holds it."""

from orchestrator.domain.job import attempt_id_of
from orchestrator.domain.ports import Peers, UnitsOfWork
from orchestrator.operations.find import find_job
from shared.contracts.jobs import LogPage
from shared.contracts.work import JobKind
from shared.kit.errors import NotFound
from shared.kit.tasks import in_thread


async def read_log(
    units: UnitsOfWork, peers: Peers, job_id: str, kind: JobKind | None, attempt: int | None, offset: int, limit: int
) -> LogPage:
    """A slice of the output of `attempt`, or of the newest one; empty before the first attempt."""
    job, _ = await in_thread(find_job, units, job_id, kind)
    number = attempt if attempt is not None else job.attempt
    if number > job.attempt or (number < 1 and attempt is not None):
        raise NotFound("the job has no such attempt", code="attempt_not_found", param="attempt")
    if number == 0:
        return LogPage(attempt=0, offset=offset, next_offset=offset, text="", is_complete=False)
    return await peers.of_kind(job.kind).log(attempt_id_of(job_id, number), offset, limit)
