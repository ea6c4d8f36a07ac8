"""Slow housekeeping: what nobody needs any more goes."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from shared.kit.clock import Clock
from shared.kit.logs import logger
from shared.kit.tasks import in_thread

_EVERY_S = 3600.0
_CHUNK = 500
"""Rows deleted in one short transaction."""
_KEYS_KEPT = timedelta(days=30)


class Housekeeper:
    """Deletes events and messages that were sent long ago, and Idempotency-Keys that nobody will repeat."""

    def __init__(self, units: UnitsOfWork, clock: Clock, outbox_kept_days: int, messages_kept_days: int) -> None:
        self._units = units
        self._clock = clock
        self._kept = timedelta(days=outbox_kept_days)
        self._messages_kept = timedelta(days=messages_kept_days)

    async def run(self) -> None:
        """For ever, once an hour."""
        while True:
            await self.tidy()
            await asyncio.sleep(_EVERY_S)

    async def tidy(self) -> int:
        """Delete in small transactions until nothing old is left; how many events went."""
        now = self._clock.now()
        gone = await self._delete(lambda uow: uow.outbox.delete_sent_before(now - self._kept, _CHUNK))
        if gone:
            logger.info("{} sent events deleted from the outbox", gone)
        # Pending ones too: nobody enabled their webhook again.
        gone += await self._delete(lambda uow: uow.deliveries.delete_before(now - self._messages_kept, _CHUNK))
        await self._delete(lambda uow: uow.requests.delete_before(now - _KEYS_KEPT, _CHUNK))
        return gone

    async def _delete(self, some: Callable[[UnitOfWork], int]) -> int:
        gone = 0
        while deleted := await in_thread(self._units.write, some):
            gone += deleted
        return gone
