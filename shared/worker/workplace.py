"""A worker with its background tasks: reaper, reporter, hints, drain."""

import asyncio

from shared.contracts.work import Control, JobKind
from shared.kit.bell import Bell
from shared.kit.clock import SystemClock
from shared.kit.errors import Unavailable
from shared.kit.logs import logger
from shared.kit.peer import PeerClient
from shared.kit.tasks import in_thread
from shared.worker.devices.allotment import Allotment
from shared.worker.devices.gauge import DeviceGauge
from shared.worker.environment import cache_of, own_engine_environment
from shared.worker.executors.local import LocalExecutor
from shared.worker.folder import AttemptFolder
from shared.worker.gauges import tell
from shared.worker.hints import Hints
from shared.worker.pair import OtherEngine, Recipe, common_engine
from shared.worker.reporter import Reporter
from shared.worker.settings import WorkerSettings
from shared.worker.store import AttemptStore
from shared.worker.worker import Worker

_ACTIVE_S = 0.02
_IDLE_S = 1.0
_MEASURE_S = 2.0


class Workplace:
    """Joins a worker to the log and to the orchestrator."""

    def __init__(
        self,
        service: str,
        settings: WorkerSettings,
        kinds: frozenset[JobKind],
        engine: str,
        stream: PeerClient,
        orchestrator: PeerClient,
        other_engine: OtherEngine = common_engine,
    ) -> None:
        clock = SystemClock()
        self._service = service
        self._settings = settings
        self._bell = Bell()
        self._quiet = asyncio.Event()
        others = common_engine if settings.engine else other_engine
        recipe = Recipe(settings.engine or engine, own_engine_environment(settings), others)
        self._devices = devices = Allotment(DeviceGauge(clock))
        executor = LocalExecutor(settings, recipe, cache_of(settings), clock, devices.next_visible)
        store = AttemptStore(settings.data_dir)
        self.hints = Hints(orchestrator)
        self.reporter = Reporter(stream, clock, self._on_reported, self._on_zombie)
        self.worker = Worker(settings, kinds, store, executor, clock, self._on_change, self.reporter.progress, devices)

    def _on_change(self, folder: AttemptFolder) -> None:
        self.reporter.follow(folder)
        self._bell.ring()
        self.hints.give(folder.job_id)

    def _on_reported(self, folder: AttemptFolder) -> None:
        self._bell.ring()
        self.hints.give(folder.job_id)

    def _on_zombie(self, folder: AttemptFolder) -> None:
        self.worker.control(folder.attempt_id, Control.STOP)

    def recover(self) -> None:
        """Take up what an earlier process left."""
        for folder in self.worker.recover():
            self.reporter.follow(folder)

    async def reap(self) -> None:
        """Watch over attempts for ever."""
        while True:
            await in_thread(self.worker.tick)
            if self.worker.is_idle() and self.reporter.is_empty():
                self._quiet.set()
            else:
                self._quiet.clear()
            await self._bell.wait(_IDLE_S if self.worker.is_idle() else _ACTIVE_S)

    async def measure(self) -> None:
        """Tell Prometheus how it stands, for ever."""
        while True:
            await in_thread(self._devices.refresh)
            capacity = await in_thread(self.worker.capacity)
            tell(self._service, capacity, self.worker.running, self.reporter.open_attempts, self.reporter.lag_s())
            await asyncio.sleep(_MEASURE_S)

    async def drain(self) -> None:
        """Preempt all attempts and wait until they have ended and the log has their events."""
        await in_thread(self.worker.drain)
        self._quiet.clear()
        self._bell.ring()
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            logger.warning("the drain took longer than {} s; the rest is reported at the next start",
                           self._settings.drain_timeout_s)  # fmt: skip

    async def check_ready(self) -> None:
        """Ready means: takes attempts."""
        if self.worker.is_draining:
            raise Unavailable("this worker is draining", code="draining")
