"""One process of the orchestrator: its real loops, on the shared store, killed or frozen at any await."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.domain.decisions import Policy
from orchestrator.domain.peers import Peers
from orchestrator.domain.queueing.board import WorkerBoard
from orchestrator.domain.queueing.gauge import QueueGauge
from orchestrator.reconciler.advance import Advance
from orchestrator.reconciler.bells import Bells
from orchestrator.reconciler.leases import Leases
from orchestrator.reconciler.loop import Reconciler
from orchestrator.reconciler.outbox import Relay
from shared.kit.tasks import running
from tests.simulation.chance import Chance
from tests.simulation.loop import RUNNING_IN

if TYPE_CHECKING:
    from tests.simulation.world import World

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_LEASE_S = 10.0
_LOOK_S = 1.0
POOLS = {"analyzer": ["analyzer"], "evaluator": ["evaluator", "evaluator-2"]}
"""Workers of each service."""


class ReplicaClock:
    """The loop's time, ahead or behind by what this machine's clock is wrong."""

    def __init__(self, skew_s: float) -> None:
        self._skew = timedelta(seconds=skew_s)

    def now(self) -> datetime:
        return _EPOCH + timedelta(seconds=self.monotonic()) + self._skew

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Replica:
    """Started by `start`; `kill` leaves its tasks hanging wherever they are, as a dead process would."""

    def __init__(self, owner: str, world: "World", chance: Chance) -> None:
        self.owner = owner
        self.clock = ReplicaClock(chance.rng.choice((0.0, 0.0, -1.5, 1.5)))
        self.bells = Bells()
        self._chance = chance
        self._runs = asyncio.Event()
        self._runs.set()
        self._is_dead = False
        self._main: asyncio.Task[None] | None = None
        peers = Peers(dict(world.workers), world.stream, POOLS)
        units, board, gauge = world.store, WorkerBoard(), QueueGauge(1_000, self.clock.monotonic)
        policy = Policy(_LOOK_S, drain_patience_s=5.0, retry_backoff_s=0.5)
        self.reconciler = Reconciler(
            units, peers, self.clock, board, gauge, Leases(units, self.clock, owner, _LEASE_S),
            Advance(units, peers, self.clock, self.bells, policy), self.bells.reconciler, _LOOK_S,
        )  # fmt: skip
        self.relay = Relay(units, peers, self.clock, self.bells.outbox)

    async def breathe(self) -> None:
        """Every call out of the process passes here, on its way out and back."""
        await asyncio.sleep(self._chance.pause_s())
        await self._runs.wait()
        if self._is_dead:
            await asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Run the loops."""
        token = RUNNING_IN.set(self)
        self._main = asyncio.create_task(self._live())
        RUNNING_IN.reset(token)

    async def _live(self) -> None:
        async with running(("reconciler", self.reconciler.run), ("relay", self.relay.run)):
            await asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        """Nothing of it happens any more; what it had asked for may still be carried out."""
        self._is_dead = True
        self._runs.set()

    def freeze(self) -> None:
        """As by SIGSTOP."""
        self._runs.clear()

    def thaw(self) -> None:
        """As by SIGCONT: it goes on as if no time had passed."""
        self._runs.set()
