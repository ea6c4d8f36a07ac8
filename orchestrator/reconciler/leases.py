"""Which jobs this process looks after next, so that several replicas never look after the same one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

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
        placed = plan(line, offers, now)[:BATCH]
        if not placed:
            return []
        # By lane and not by name: other replicas see the same heads, and what a lane holds is alike.
        wanted = Counter(placement.lane for placement in placed)
        claimed = self._units.write(lambda uow: uow.jobs.claim_in_line(service, wanted, self._lease(now)))
        held = {lane: iter(taken) for lane, taken in claimed.items()}
        return [(one, placement.worker) for placement in placed for one in islice(held[placement.lane], 1)]

    def _lease(self, now: datetime) -> Lease:
        return Lease(self._owner, now, now + self._life)
