"""When the orchestrator can do its work."""

import asyncio

from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitsOfWork
from shared.kit.errors import Unavailable
from shared.kit.tasks import in_thread

_NO_JOB = "job-" + "0" * 26
"""A well-formed id: any other is known not to exist without asking the database."""


class Readiness:
    """Ready once the database answers and every service was ready once; later a service away is no reason to refuse."""

    def __init__(self, units: UnitsOfWork, peers: Peers) -> None:
        self._units = units
        self._peers = peers
        self._has_met_all = False

    async def check(self) -> None:
        """Raise Unavailable, naming who is missing."""
        await in_thread(self._units.read, lambda uow: uow.jobs.find(_NO_JOB))
        if self._has_met_all:
            return
        states = await asyncio.gather(*(peer.state() for peer in self._peers.all()))
        missing = [state.name for state in states if not state.is_ready]
        if missing:
            raise Unavailable(f"waiting for {', '.join(missing)}")
        self._has_met_all = True
