"""The reconciler: claims what is due, starts what fits, and takes each job forward in a task of its own."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.domain.job import Leased
from orchestrator.domain.observations import Observation, SlotFree
from orchestrator.domain.peers import Peers, WorkerPeer
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.domain.queueing.board import WorkerBoard
from orchestrator.domain.queueing.gauge import QueueGauge
from orchestrator.domain.queueing.lanes import Lane, lane_of
from orchestrator.domain.queueing.placement import Offer, offer_of
from orchestrator.reconciler.advance import Advance
from orchestrator.reconciler.gauges import TURNS
from orchestrator.reconciler.leases import Leases
from shared.kit.bell import Bell
from shared.kit.clock import Clock
from shared.kit.errors import ImtsError, Unavailable
from shared.kit.logs import logger
from shared.kit.tasks import end_tasks, in_thread

_PAUSE_S = 0.02
"""Between turns: a flood of submissions is looked at in groups instead of one by one."""


class Hints:
    """Jobs that a worker says to look at now; kept until the next turn."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._job_ids: set[str] = set()

    def add(self, job_id: str) -> None:
        """Look at this job next; called on the event loop."""
        self._job_ids.add(job_id)
        self._bell.ring()

    def take(self) -> list[str]:
        """All since the last time."""
        taken, self._job_ids = self._job_ids, set()
        return sorted(taken)


@dataclass(frozen=True, slots=True)
class Promise:
    """Room that a claimed job will take of a worker which may not know of it yet."""

    worker: str
    lane: Lane


class Reconciler:
    """One replica's loop; other replicas run the same one."""

    def __init__(
        self,
        units: UnitsOfWork,
        peers: Peers,
        clock: Clock,
        board: WorkerBoard,
        gauge: QueueGauge,
        leases: Leases,
        advance: Advance,
        bell: Bell,
        tick_s: float,
    ) -> None:
        self._units = units
        self._peers = peers
        self._clock = clock
        self._board = board
        self._gauge = gauge
        self._leases = leases
        self._advance = advance
        self._bell = bell
        self._tick_s = tick_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._promised: dict[str, Promise] = {}
        self.hints = Hints(bell)

    async def run(self) -> None:
        """For ever; cancelled at shutdown, when what it holds is given back: another replica goes on at once."""
        released = await in_thread(self._leases.release_own)
        if released:
            logger.info("{} jobs were left claimed by an earlier process", released)
        try:
            while True:
                with TURNS.time():
                    await self.turn()
                await asyncio.sleep(_PAUSE_S)
                await self._bell.wait(self._tick_s)
        finally:
            await end_tasks(self._tasks)
            with suppress(Unavailable):
                await in_thread(self._leases.release_own)

    async def turn(self) -> None:
        """Look after everything that is due now."""
        self._peers.roll.read(await in_thread(self._units.read, lambda uow: uow.workers.all()))
        hinted = self.hints.take()
        if hinted:
            now = self._clock.now()
            await in_thread(self._units.write, lambda uow: uow.jobs.make_due(hinted, now))
            for worker in self._peers.workers:
                self._board.mark_stale(worker)
        due, awaited = await in_thread(self._leases.claim_due, self._peers.services)
        for held in due:
            self._spawn(held, None)
        await asyncio.gather(*(self._fill(service) for service in awaited))
        if self._gauge.is_due():
            await in_thread(self._gauge.refresh, lambda: self._units.read(lambda uow: uow.jobs.count_queued()))

    async def _offer(self, name: str, worker: WorkerPeer) -> Offer:
        """What a worker can take; one known to be full is asked again only when something changed."""
        standing = self._board.of(name)
        now = self._clock.monotonic()
        is_fresh = not standing.is_stale and now - standing.asked_at < self._tick_s / 2
        is_full = standing.is_silent or (standing.capacity is not None and standing.capacity.free <= 0)
        if is_fresh and is_full:
            return Offer(name)
        try:
            capacity = await worker.capacity()
        except ImtsError as fault:
            if not standing.is_silent:
                logger.warning("{} does not tell its capacity: {}", name, fault.message)
            self._board.silent(name, now)
            return Offer(name)
        if self._peers.roll.is_draining(name):
            capacity = capacity.model_copy(update={"draining": True, "free": 0})
        self._board.heard(name, capacity, now)
        promised = (promise.lane.resources for promise in self._promised.values() if promise.worker == name)
        return offer_of(name, capacity, promised)

    async def _fill(self, service: str) -> None:
        """Start the jobs whose turn it is, where there is room for them."""
        workers = self._peers.of_service(service)
        offers = await asyncio.gather(*(self._offer(name, worker) for name, worker in workers.items()))
        if not any(offer.room.slots > 0 for offer in offers):
            return
        starting = Counter(group for promise in self._promised.values() for group in promise.lane.groups)
        for held, worker in await in_thread(self._leases.claim_next, service, offers, starting):
            self._promised[held.job.job_id] = Promise(worker, lane_of(held.job))
            self._spawn(held, SlotFree(worker))

    def _spawn(self, held: Leased, seen: Observation) -> None:
        job_id = held.job.job_id
        task = asyncio.create_task(self._take_forward(held, seen), name=f"advance {job_id}")
        # All of them: after a long pause a job can have two, the older of which has lost its lease.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_forward(self, held: Leased, seen: Observation) -> None:
        job_id = held.job.job_id
        try:
            delay_s = await self._advance(held, seen)
        except Exception:  # noqa: BLE001 - one of the three places: a fault in one job's look must not stop the others
            logger.exception("looking after job {} failed; its lease runs out and it is looked at again", job_id)
            delay_s = None
        finally:
            promise = self._promised.pop(job_id, None) if isinstance(seen, SlotFree) else None
        for worker in self._peers.of_service(held.job.worker):
            self._board.mark_stale(worker)
        if promise is not None:
            self._bell.ring()
        if delay_s is not None:
            asyncio.get_running_loop().call_later(delay_s, self._bell.ring)
