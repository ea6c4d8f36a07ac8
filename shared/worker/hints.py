"""Telling the orchestrator that a job is worth a look; lost hints only cost time."""

import asyncio

from shared.contracts.work import Hint
from shared.kit.errors import ImtsError
from shared.kit.logs import logger
from shared.kit.peer import PeerClient


class Hints:
    """A queue of jobs to look at; each is sent once, best effort."""

    def __init__(self, orchestrator: PeerClient) -> None:
        self._orchestrator = orchestrator
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    def give(self, job_id: str) -> None:
        """Have the orchestrator look at a job soon; safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, job_id)

    async def run(self) -> None:
        """Send hints for ever."""
        self._loop = asyncio.get_running_loop()
        while True:
            job_id = await self._waiting.get()
            try:
                await self._orchestrator.tell("/internal/hints", Hint(job_id=job_id))
            except ImtsError as fault:
                logger.debug("no hint about {}: {}", job_id, fault.message)
