"""Which jobs this process looks after next, so that several replicas never look after the same one."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from orchestrator.domain.job import Leased
from orchestrator.domain.ports import Lease, UnitOfWork, UnitsOfWork
from shared.kit.clock import Clock

BATCH = 64
"""Jobs claimed in one transaction."""


class Leases:
    """Claims for one owner; blocking, called from a thread."""

    def __init__(self, units: UnitsOfWork, clock: Clock, owner: str, lease_s: float) -> None:
        self._units = units
        self._clock = clock
        self._owner = owner
        self._life = timedelta(seconds=lease_s)

    def release_own(self) -> int:
        """What an earlier process under this name left claimed when it died."""
        return self._units.write(lambda uow: uow.jobs.release_all(self._owner))

    def claim_due(self, workers: Sequence[str]) -> tuple[list[Leased], list[str]]:
        """Working jobs whose time has come, and those of `workers` that have someone waiting in line."""
        now = self._clock.now()

        def read(uow: UnitOfWork) -> tuple[list[str], list[str]]:
            return uow.jobs.due(now, BATCH), uow.jobs.queued_workers(workers)

        due, queued = self._units.read(read)
        return self._claim(due, now), queued

    def claim_head(self, worker: str, room: int) -> list[Leased]:
        """The jobs at the head of a worker's queue, as many as there is room for."""
        now = self._clock.now()
        head = self._units.read(lambda uow: uow.jobs.queue_head(worker, now, min(room, BATCH)))
        return self._claim(head, now)

    def _claim(self, job_ids: list[str], now: datetime) -> list[Leased]:
        if not job_ids:
            return []
        lease = Lease(self._owner, now, now + self._life)
        return self._units.write(lambda uow: uow.jobs.claim(job_ids, lease))
