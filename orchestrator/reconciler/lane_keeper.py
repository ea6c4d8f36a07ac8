"""Keeps the list of lanes short and whole."""

import asyncio

from orchestrator.domain.ports import UnitsOfWork
from shared.kit.tasks import in_thread

_EVERY_S = 10.0


class LaneKeeper:
    """Forgets empty lanes; during a rolling upgrade it finds what an older replica put in line."""

    def __init__(self, units: UnitsOfWork) -> None:
        self._units = units

    async def run(self) -> None:
        """For ever; every replica does it."""
        while True:
            await in_thread(self._units.write, lambda uow: uow.line.tidy())
            await asyncio.sleep(_EVERY_S)
