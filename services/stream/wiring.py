"""The service's parts, and how they hang together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from services.stream import counting, handoff
from services.stream.bridges.wakeups import Watch
from services.stream.fanout import Fanout
from services.stream.hub import Hub
from services.stream.intake import Intake
from services.stream.log.access import Access
from services.stream.log.committer import Committer
from services.stream.log.curves import HANDS, CurveReader
from services.stream.log.entries import Record
from services.stream.log.reading import LogReader
from services.stream.log.room import Room
from services.stream.settings import StreamSettings
from services.stream.sweeper import Sweeper
from shared.kit.clock import SystemClock
from shared.kit.logs import logger
from shared.kit.memory import give_back_memory
from shared.kit.schema import upgrade
from shared.kit.sql import Database, open_engine
from shared.kit.tasks import in_thread, running, set_thread_limit

if TYPE_CHECKING:
    from services.stream.bridges.redis import RedisBridge

MIGRATIONS = "services.stream.log.migrations"


class Stream:
    """Log, listeners and the bridge to other replicas."""

    def __init__(self, settings: StreamSettings) -> None:
        self.settings = settings
        # Every blocking call, every committing thread and every hand at curves can hold a connection at once.
        self._engine = open_engine(settings.database, settings.threads + settings.commit_lanes + HANDS)
        database = Database(self._engine)
        self.log = Access(database)
        self.reader = LogReader(self.log)
        self.curves = CurveReader(self.log)
        self._sweeper = Sweeper(self.log, SystemClock(), settings.retention_sweep_s)
        self.fanout = Fanout(self.reader, settings.ring_events, settings.ring_bytes)
        counting.watch(self.fanout)
        self.hub = Hub(self.fanout, settings)
        self._watch = Watch(self.fanout, self.reader, settings.poll_s, settings.safety_poll_s)
        room = Room(settings.max_waiting_appends, settings.max_waiting_bytes)
        self.intake = Intake(room, settings.max_append_bytes)
        self.committer = Committer(database, self._committed, room, lanes=settings.commit_lanes)
        self._redis = self._bridge(settings.redis_url.get_secret_value())

    def _bridge(self, url: str) -> "RedisBridge | None":
        if not url:
            return None
        # The redis package takes 18 MB, which the embedded default does not need to pay.
        from services.stream.bridges.redis import RedisBridge

        bridge = self._watch.bridge = RedisBridge(url, self._watch.hint, self._watch.doubt)
        return bridge

    def _committed(self, records: Mapping[str, list[Record]]) -> None:
        self.fanout.committed(records)
        self._watch.bridge.announce(records)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Bring the schema up to date, then keep everything going."""
        set_thread_limit(self.settings.threads)
        await in_thread(upgrade, self._engine, MIGRATIONS)
        await in_thread(give_back_memory)
        self.hub.is_open = self.settings.handoff and await handoff.works()
        if self.settings.handoff and not self.hub.is_open:
            logger.warning("this server does not give sockets away; SSE goes through ASGI, a task a listener")
        bodies = [
            *self.committer.tasks(),
            ("watch", self._watch.run),
            ("sweep", self.hub.sweep),
            ("retention", self._sweeper.run),
        ]
        if self._redis is not None:
            bodies += [("redis listener", self._redis.listen), ("redis speaker", self._redis.speak)]
        try:
            async with running(*bodies):
                yield
        finally:
            await in_thread(self.committer.close)
            await in_thread(self.curves.close)
            if self._redis is not None:
                await self._redis.close()
            await in_thread(self._engine.dispose)
