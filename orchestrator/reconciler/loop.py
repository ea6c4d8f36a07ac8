"""The reconciler: claims what is due, starts what fits, and takes each job forward in a task of its own."""

import asyncio

from orchestrator.domain.job import Leased
from orchestrator.domain.observations import Observation, SlotFree
from orchestrator.domain.ports import Peers, UnitsOfWork
from orchestrator.domain.queueing import WorkerBoard
from orchestrator.reconciler.advance import Advance
from orchestrator.reconciler.leases import Leases
from shared.kit.bell import Bell
from shared.kit.clock import Clock
from shared.kit.errors import ImtsError
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


class Reconciler:
    """One replica's loop; other replicas run the same one."""

    def __init__(
        self,
        units: UnitsOfWork,
        peers: Peers,
        clock: Clock,
        board: WorkerBoard,
        leases: Leases,
        advance: Advance,
        bell: Bell,
        tick_s: float,
    ) -> None:
        self._units = units
        self._peers = peers
        self._clock = clock
        self._board = board
        self._leases = leases
        self._advance = advance
        self._bell = bell
        self._tick_s = tick_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._starting: dict[str, int] = {}
        self.hints = Hints(bell)

    async def run(self) -> None:
        """For ever; cancelled at shutdown, when each job's lease is given back or runs out."""
        released = await in_thread(self._leases.release_own)
        if released:
            logger.info("{} jobs were left claimed by an earlier process", released)
        try:
            while True:
                await self.turn()
                await asyncio.sleep(_PAUSE_S)
                await self._bell.wait(self._tick_s)
        finally:
            await end_tasks(self._tasks.values())

    async def turn(self) -> None:
        """Look after everything that is due now."""
        hinted = self.hints.take()
        if hinted:
            now = self._clock.now()
            await in_thread(self._units.write, lambda uow: uow.jobs.make_due(hinted, now))
            for worker in self._peers.workers:
                self._board.mark_stale(worker)
        due, queued = await in_thread(self._leases.claim_due, list(self._peers.workers))
        for held in due:
            self._spawn(held, None)
        await asyncio.gather(*(self._fill(worker) for worker in queued))

    async def _room(self, worker: str) -> int:
        """Free slots not yet promised; a worker known to be full is asked again only when something changed."""
        standing = self._board.of(worker)
        now = self._clock.monotonic()
        is_fresh = not standing.is_stale and now - standing.asked_at < self._tick_s / 2
        is_full = standing.is_silent or (standing.capacity is not None and standing.capacity.free <= 0)
        if is_fresh and is_full:
            return 0
        try:
            capacity = await self._peers.workers[worker].capacity()
        except ImtsError as fault:
            if not standing.is_silent:
                logger.warning("{} does not tell its capacity: {}", worker, fault.message)
            self._board.silent(worker, now)
            return 0
        self._board.heard(worker, capacity, now)
        return 0 if capacity.draining else capacity.free - self._starting.get(worker, 0)

    async def _fill(self, worker: str) -> None:
        room = await self._room(worker)
        if room <= 0:
            return
        for held in await in_thread(self._leases.claim_head, worker, room):
            self._starting[worker] = self._starting.get(worker, 0) + 1
            self._spawn(held, SlotFree())

    def _spawn(self, held: Leased, seen: Observation) -> None:
        job_id = held.job.job_id
        task = asyncio.create_task(self._take_forward(held, seen), name=f"advance {job_id}")
        self._tasks[job_id] = task

    async def _take_forward(self, held: Leased, seen: Observation) -> None:
        job_id, worker = held.job.job_id, held.job.worker
        try:
            delay_s = await self._advance(held, seen)
        except Exception:  # noqa: BLE001 - one of the three places: a fault in one job's look must not stop the others
            logger.exception("looking after job {} failed; its lease runs out and it is looked at again", job_id)
            delay_s = None
        finally:
            if self._tasks.get(job_id) is asyncio.current_task():
                del self._tasks[job_id]
            if isinstance(seen, SlotFree):
                self._starting[worker] -= 1
        self._board.mark_stale(worker)
        if delay_s is not None:
            asyncio.get_running_loop().call_later(delay_s, self._bell.ring)
