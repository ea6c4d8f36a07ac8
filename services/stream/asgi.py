"""A listener through ASGI, where sockets are not given away: the same bytes, at the price of a task."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

from services.stream.counting import Reason, dropped, sse_delivered, sse_listeners
from services.stream.fanout import Fanout, Subscription
from services.stream.frames import HEARTBEAT, sse_end, sse_farewell
from services.stream.settings import StreamSettings
from shared.kit.errors import Unavailable
from shared.kit.logs import logger

PIECE = 24 * 1024
"""One waits here while the server holds the rest of the one before: less than 64 KB a slow reader."""


class AsgiListener:
    """Follows a topic from `after` on, for whoever sends its pieces."""

    def __init__(self, fanout: Fanout, settings: StreamSettings, topic: str, after: int, first_words: bytes) -> None:
        self._fanout = fanout
        self._settings = settings
        self._topic = topic
        self._after = after
        self._first_words = first_words
        self._wake = asyncio.Event()
        self._is_stopping = False

    def stop(self) -> None:
        """The server stops: say farewell after the event under way."""
        self._is_stopping = True
        self._wake.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Ready bytes, several events a piece, through the topic's end."""
        life = self._settings.max_life_s * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load, guards nothing
        ends_at = time.monotonic() + life
        yield self._first_words
        place = await self._fanout.follow(self._topic, self._after, self._wake.set)
        sse_listeners.inc()
        try:
            async for piece in self._follow(place, ends_at):
                yield piece
        except Unavailable:
            logger.warning("a stream of {} is cut: the log cannot be read; its listener resumes", self._topic)
            if place.is_between_events:
                yield self._farewell(place, "log_unreadable")
        finally:
            sse_listeners.dec()
            self._fanout.leave(place)

    async def _follow(self, place: Subscription, ends_at: float) -> AsyncIterator[bytes]:
        while not place.has_ended:
            self._wake.clear()
            before = place.got
            if piece := await place.chunk(PIECE):
                yield piece
                sse_delivered.inc(place.got - before)
            if place.is_between_events and (reason := self._reason_to_go(ends_at)):
                yield self._farewell(place, reason)
                return
            if not piece and not await self._woken():
                yield HEARTBEAT
        yield sse_end(place.seq)

    def _reason_to_go(self, ends_at: float) -> Reason | None:
        if self._is_stopping:
            return "shutting_down"
        return "life_cap" if time.monotonic() >= ends_at else None

    def _farewell(self, place: Subscription, reason: Reason) -> bytes:
        dropped(reason)
        return sse_farewell(reason, place.seq, self._settings.farewell_retry_ms)

    async def _woken(self) -> bool:
        try:
            async with asyncio.timeout(self._settings.heartbeat_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True
