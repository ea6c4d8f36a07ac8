"""A job's events, asked of the stream."""

from orchestrator.domain.ports import Peers, UnitsOfWork
from orchestrator.operations.find import find_job
from shared.contracts.events import EventPage, job_topic
from shared.contracts.work import JobKind
from shared.kit.tasks import in_thread


async def read_events(
    units: UnitsOfWork, peers: Peers, job_id: str, kind: JobKind | None, after: int, limit: int
) -> EventPage:
    """A page of the job's log, oldest first."""
    await in_thread(find_job, units, job_id, kind)
    return await peers.stream.events(job_topic(job_id), after, limit)
