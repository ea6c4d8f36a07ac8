"""Retention of jobs: those that ended too long ago are deleted, one short transaction each."""

import asyncio
from datetime import timedelta

from orchestrator.domain.audit import By
from orchestrator.domain.deleting import delete_job, was_deleted
from orchestrator.domain.ports import Signals, UnitOfWork, UnitsOfWork
from shared.kit.clock import Clock
from shared.kit.errors import Conflict
from shared.kit.logs import logger
from shared.kit.tasks import in_thread

_EVERY_S = 3600.0
_PAGE = 100
RETENTION = "retention"
"""Who deletes jobs for their age, as the audit names it."""


class Retirement:
    """One replica's; two at the same jobs are harmless, because each is looked at again under its lock."""

    def __init__(self, units: UnitsOfWork, clock: Clock, signals: Signals, days: float | None) -> None:
        self._units = units
        self._clock = clock
        self._signals = signals
        self._kept = None if days is None else timedelta(days=days)

    async def run(self) -> None:
        """For ever, once an hour."""
        while True:
            await self.sweep()
            await asyncio.sleep(_EVERY_S)

    async def sweep(self) -> int:
        """Delete what is old now; how many went."""
        if self._kept is None:
            return 0
        before, gone, last = self._clock.now() - self._kept, 0, ""
        while old := await in_thread(
            self._units.read, lambda uow, last=last: uow.deletions.ended_before(before, last, _PAGE)
        ):
            for job_id in old:
                gone += await in_thread(self._retire, job_id)
            last = old[-1]
        if gone:
            logger.info("{} old jobs deleted", gone)
        return gone

    def _retire(self, job_id: str) -> bool:
        by = By(RETENTION, self._clock.now())

        def write(uow: UnitOfWork) -> bool:
            job = uow.jobs.find_locked(job_id)
            if job is None:
                return was_deleted(uow, job_id, by)
            delete_job(uow, job, by)
            return True

        try:
            is_gone = self._units.write(write)
        except Conflict:
            # It made a model, or another job waits for it.
            return False
        if is_gone:
            self._signals.job_deleted()
        return is_gone
