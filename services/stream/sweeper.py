"""The sweep that carries retention out: a little at a time, with rests, so that ingest does not wait."""

import asyncio
from functools import partial

from services.stream.log.access import Access
from services.stream.log.retention import find_due
from services.stream.log.thinning import shorten
from shared.kit.clock import Clock
from shared.kit.errors import Unavailable
from shared.kit.logs import logger
from shared.kit.tasks import in_thread

_BATCH = 100
_REST = 4.0
"""Four fifths of the time are for others."""
_LONGEST_REST_S = 1.0


class Sweeper:
    """One replica's; two at the same log do no harm, because each step looks again under the topic's lock."""

    def __init__(self, log: Access, clock: Clock, every_s: float) -> None:
        self._log = log
        self._clock = clock
        self._every_s = every_s

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                while await self.sweep() == _BATCH:
                    pass
            except Unavailable:
                logger.warning("retention waits: the log's database does not answer")
            await asyncio.sleep(self._every_s)

    async def sweep(self) -> int:
        """Shorten what is due now; how many logs."""
        now = self._clock.now()
        due = await in_thread(self._log.read, partial(find_due, now=now, limit=_BATCH))
        for item in due:
            turns = shorten(self._log, item, now)
            while await self._turn(partial(next, turns, "done")) != "done":
                pass
            logger.info("retention: {} done to {}", item.action, item.topic)
        return len(due)

    async def _turn(self, work: "partial[str | None]") -> str | None:
        began = self._clock.monotonic()
        outcome = await in_thread(work)
        await asyncio.sleep(min((self._clock.monotonic() - began) * _REST, _LONGEST_REST_S))
        return outcome
