"""Group commit: writes that wait while one commits go together into the next."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zlib import crc32

from sqlalchemy.exc import SQLAlchemyError

from services.stream.log.entries import Record
from services.stream.log.meters import COMMIT_EVENTS, COMMIT_SECONDS
from services.stream.log.numbering import Write
from services.stream.log.room import Room
from services.stream.log.transaction import Committed, Outcome, apply
from shared.contracts.events import ProducerMark
from shared.kit.errors import Unavailable
from shared.kit.logs import logger
from shared.kit.sql import Database

_GROUP_WRITES = 256
_GROUP_BYTES = 4 * 1024 * 1024

OnRecords = Callable[[Mapping[str, list[Record]]], None]
"""Told on the event loop, after the commit, what is new in each topic."""


@dataclass(slots=True)
class _Waiting:
    write: Write
    done: asyncio.Future[Outcome]


class Lane:
    """One committing thread and what waits for it; everything but the commit happens on the event loop."""

    def __init__(self, database: Database, on_records: OnRecords) -> None:
        self._database = database
        self._on_records = on_records
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        # A thread of its own: commits never wait behind reads for a place in the shared pool.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def submit(self, write: Write) -> ProducerMark:
        """Wait for the commit that holds `write`; raises what the log has against it."""
        item = _Waiting(write, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._arrived.set()
        outcome = await item.done
        if outcome.fault is not None:
            raise outcome.fault
        return outcome.mark

    async def run(self) -> None:
        """Commit groups for ever."""
        while True:
            await self._arrived.wait()
            group = self._next_group()
            try:
                await self._commit(group)
            finally:
                for item in group:
                    if not item.done.done():
                        item.done.set_exception(Unavailable("the log could not write this now; try again shortly"))

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < _GROUP_WRITES and size < _GROUP_BYTES:
            item = self._waiting.popleft()
            size += item.write.size
            if not item.done.done():
                group.append(item)
        if not self._waiting:
            self._arrived.clear()
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        if not group:
            return
        writes = [item.write for item in group]
        began = time.perf_counter()
        try:
            committed = await asyncio.get_running_loop().run_in_executor(self._thread, self._write, writes)
        except SQLAlchemyError as fault:
            logger.error("commit of {} writes failed: {}", len(group), type(fault).__name__)
            return
        for item, outcome in zip(group, committed.outcomes, strict=True):
            if not item.done.done():
                item.done.set_result(outcome)
        COMMIT_SECONDS.observe(time.perf_counter() - began)
        COMMIT_EVENTS.observe(sum(map(len, committed.records.values())))
        self._on_records(committed.records)

    def _write(self, writes: list[Write]) -> Committed:
        return self._database.write(lambda session: apply(session, writes))

    def close(self) -> None:
        """Wait for the commit under way."""
        self._thread.shutdown()


class Committer:
    """The log's only way in: SQLite has one lane; on MySQL topics are spread over several."""

    def __init__(self, database: Database, on_records: OnRecords, room: Room, *, lanes: int) -> None:
        self._room = room
        self._lanes = [Lane(database, on_records) for _ in range(1 if database.is_sqlite else lanes)]

    async def submit(self, write: Write) -> ProducerMark:
        """Commit `write`, then answer; writes to one topic keep their order. RateLimited while too much waits."""
        with self._room.claim(write.size):
            return await self._lanes[crc32(write.topic.encode()) % len(self._lanes)].submit(write)

    def tasks(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Background work that must run for `submit` to answer."""
        return [(f"commit lane {number}", lane.run) for number, lane in enumerate(self._lanes)]

    def close(self) -> None:
        """Wait for the commits under way; blocking."""
        for lane in self._lanes:
            lane.close()
