"""Slow housekeeping: what nobody needs any more goes."""

import asyncio
from datetime import timedelta

from orchestrator.domain.ports import UnitsOfWork
from shared.kit.clock import Clock
from shared.kit.logs import logger
from shared.kit.tasks import in_thread

_EVERY_S = 3600.0
_CHUNK = 500
"""Rows deleted in one short transaction."""


class Sweeper:
    """Deletes events and messages that were sent long ago."""

    def __init__(self, units: UnitsOfWork, clock: Clock, outbox_kept_days: int, messages_kept_days: int) -> None:
        self._units = units
        self._clock = clock
        self._kept = timedelta(days=outbox_kept_days)
        self._messages_kept = timedelta(days=messages_kept_days)

    async def run(self) -> None:
        """For ever, once an hour."""
        while True:
            await self.sweep()
            await asyncio.sleep(_EVERY_S)

    async def sweep(self) -> int:
        """Delete in small transactions until nothing old is left; how many went."""
        before = self._clock.now() - self._kept
        gone = 0
        while deleted := await in_thread(self._units.write, lambda uow: uow.outbox.delete_sent_before(before, _CHUNK)):
            gone += deleted
        if gone:
            logger.info("{} sent events deleted from the outbox", gone)
        return gone + await self._sweep_messages()

    async def _sweep_messages(self) -> int:
        """Pending ones too: nobody enabled their webhook again."""
        before = self._clock.now() - self._messages_kept
        gone = 0
        while deleted := await in_thread(self._units.write, lambda uow: uow.deliveries.delete_before(before, _CHUNK)):
            gone += deleted
        return gone
