"""A job's events, asked of the stream."""

import asyncio

from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.operations.find import find_job
from shared.contracts.events import EventPage, job_topic
from shared.contracts.work import JobKind
from shared.kit.tasks import in_thread

_LOOKS = 100
_POLL_S = 0.02


async def read_events(
    units: UnitsOfWork, peers: Peers, job_id: str, kind: JobKind | None, after: int, limit: int
) -> EventPage:
    """A page of the job's log, oldest first."""
    await in_thread(find_job, units, job_id, kind)
    topic = job_topic(job_id)
    await _delivered(units, topic)
    return await peers.stream.events(topic, after, limit)


async def _delivered(units: UnitsOfWork, topic: str) -> None:
    """Wait a while for the relay: who has seen a job end finds the end in its log."""
    for _ in range(_LOOKS):
        if not await in_thread(units.read, lambda uow: uow.outbox.unsent([topic], 1)):
            return
        await asyncio.sleep(_POLL_S)
