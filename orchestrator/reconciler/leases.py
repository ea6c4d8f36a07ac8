"""Which jobs this process looks after next, so that several replicas never look after the same one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.job import Leased
from orchestrator.domain.ports import Lease, UnitOfWork, UnitsOfWork
from orchestrator.domain.queueing.placement import Offer
from orchestrator.domain.queueing.planning import plan
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
        """Give back what this process holds, or what an earlier one under its name left claimed when it died."""
        return self._units.write(lambda uow: uow.jobs.release_all(self._owner))

    def claim_due(self, services: Sequence[str]) -> tuple[list[Leased], list[str]]:
        """Jobs whose time has come, and those of `services` that have someone in line."""
        now = self._clock.now()

        def read(uow: UnitOfWork) -> tuple[list[str], list[str]]:
            return uow.jobs.due(now, BATCH), uow.line.awaited(services)

        due, awaited = self._units.read(read)
        if not due:
            return [], awaited
        return self._units.write(lambda uow: uow.jobs.claim(due, self._lease(now))), awaited

    def claim_next(self, service: str, offers: Sequence[Offer], starting: Counter[str]) -> list[tuple[Leased, str]]:
        """The jobs that start now, each with its worker; `starting` are those claimed but not yet at work, by group."""
        now = self._clock.now()
        depth = min(sum(max(offer.room.slots, 0) for offer in offers), BATCH)
        line = self._units.read(lambda uow: uow.line.look(service, now, depth))
        line = replace(line, used=starting + Counter(line.used))
        placed = {placement.job_id: placement.worker for placement in plan(line, offers, now)[:BATCH]}
        if not placed:
            return []
        claimed = self._units.write(lambda uow: uow.jobs.claim_in_line(list(placed), self._lease(now)))
        held = {one.job.job_id: one for one in claimed}
        return [(held[job_id], worker) for job_id, worker in placed.items() if job_id in held]

    def _lease(self, now: datetime) -> Lease:
        return Lease(self._owner, now, now + self._life)
