"""Finishes deletions: asks the log and the workers to let go of a job, again until each has answered."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from orchestrator.domain.deletion import Deletion
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.domain.workers import WorkerForgotten
from shared.contracts.events import job_topic
from shared.kit.bell import Bell
from shared.kit.clock import Clock
from shared.kit.errors import ImtsError
from shared.kit.logs import logger
from shared.kit.tasks import in_thread

_BATCH = 32
_IDLE_S = 1.0


class Eraser:
    """One replica's; two at the same deletion are harmless, because what is gone may be asked for again."""

    def __init__(self, units: UnitsOfWork, peers: Peers, clock: Clock, bell: Bell) -> None:
        self._units = units
        self._peers = peers
        self._clock = clock
        self._bell = bell

    async def run(self) -> None:
        """For ever."""
        while True:
            if not await self.turn():
                await self._bell.wait(_IDLE_S)

    async def turn(self) -> bool:
        """Carry on with what is due; whether there may be more at once."""
        now = self._clock.now()
        due = await in_thread(self._units.read, lambda uow: uow.deletions.due(now, _BATCH))
        for deletion in due:
            left = await self._carry_on(deletion)
            await in_thread(self._units.write, lambda uow, left=left: uow.deletions.save(left))
        return len(due) == _BATCH

    async def _carry_on(self, deletion: Deletion) -> Deletion:
        """What is left of it now."""
        # The log first: a worker keeps what it has not told, and a log that is gone takes nothing more.
        is_gone = not deletion.has_log or await _is_gone(self._peers.stream.remove(job_topic(deletion.job_id)))
        asked = deletion.attempts.items()
        answers = await asyncio.gather(*(_is_gone(self._remove(worker, attempt)) for attempt, worker in asked))
        kept = {attempt: worker for (attempt, worker), gone in zip(asked, answers, strict=True) if not gone}
        left = replace(
            deletion, has_log=not is_gone, attempts=kept, tries=deletion.tries + 1,
            next_try_at=deletion.later(self._clock.now()),
        )  # fmt: skip
        if left.is_done:
            logger.info("job {} is deleted everywhere", deletion.job_id)
        return left

    async def _remove(self, worker: str, attempt_id: str) -> None:
        try:
            peer = self._peers.at(worker)
        except WorkerForgotten:
            # An operator said that its host is gone; so is what it had.
            return
        await peer.remove(attempt_id)


async def _is_gone(asked: Awaitable[None]) -> bool:
    """Whether the peer said so; silence and refusals say that it is to be asked again."""
    try:
        await asked
    except ImtsError as fault:
        logger.debug("a deletion waits: {}", fault.message)
        return False
    return True
