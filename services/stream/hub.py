"""Handed-over listeners of every topic: how they join, when they are let go, and their heartbeats."""

import asyncio
import random
import time
from collections.abc import Iterator

from services.stream.counting import dropped, sse_listeners
from services.stream.crowd import Crowd, Listener
from services.stream.fanout import Fanout
from services.stream.frames import HEARTBEAT
from services.stream.settings import StreamSettings
from shared.kit.logs import logger

_ROUNDS = 16
_BATCH = 200


class Hub:
    """No task and no timer a listener: one sweep visits each of them once a heartbeat."""

    def __init__(self, fanout: Fanout, settings: StreamSettings) -> None:
        self._fanout = fanout
        self._settings = settings
        self._crowds: dict[str, Crowd] = {}
        self._members: dict[str, set[Listener]] = {}
        self._stalled: dict[Listener, None] = {}
        self.is_open = False
        """Whether the server was seen to give sockets away."""

    @property
    def listeners(self) -> Iterator[Listener]:
        """Everybody."""
        return (listener for members in self._members.values() for listener in members)

    async def join(self, topic: str, after: int) -> Listener:
        """A place in `topic` for a connection to come; it is given back by `leave` or by the connection's end."""
        feed = await self._fanout.open(topic)
        crowd = self._crowds.get(topic)
        if crowd is None:
            crowd = self._crowds[topic] = Crowd(feed, self._stalled, self.leave)
        life = self._settings.max_life_s * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load, guards nothing
        listener = Listener(crowd, after, time.monotonic() + life)
        self._members.setdefault(topic, set()).add(listener)
        sse_listeners.inc()
        return listener

    def leave(self, listener: Listener) -> None:
        """The listener's connection is gone, or never came."""
        feed = listener.crowd.feed
        members = self._members[feed.topic]
        members.discard(listener)
        sse_listeners.dec()
        if not members:
            del self._members[feed.topic]
            self._crowds.pop(feed.topic).close()
        self._fanout.close(feed)

    async def sweep(self) -> None:
        """For ever: heartbeats, some listeners at a time, farewells to the old, and an end to who takes nothing."""
        pause = min(self._settings.heartbeat_s / _ROUNDS, self._settings.send_timeout_s / 4)
        waiting: list[Listener] = []
        share = _BATCH
        began = time.monotonic()
        while True:
            await asyncio.sleep(pause)
            now = time.monotonic()
            self._drop_stalled(now)
            if not waiting and now - began >= self._settings.heartbeat_s:
                waiting, began = list(self.listeners), now
                share = max(_BATCH, len(waiting) // _ROUNDS + 1)
            if waiting:
                for listener in waiting[-share:]:
                    self._visit(listener, now)
                del waiting[-share:]

    def _visit(self, listener: Listener, now: float) -> None:
        if now >= listener.ends_at:
            listener.farewell("life_cap", self._settings.farewell_retry_ms)
        else:
            listener.beat(HEARTBEAT)

    def _drop_stalled(self, now: float) -> None:
        # In the order they stalled, so the first that may stay ends the search.
        while self._stalled:
            listener = next(iter(self._stalled))
            if now - listener.paused_since < self._settings.send_timeout_s:
                return
            del self._stalled[listener]
            logger.info("a listener took nothing for {} s and was let go", self._settings.send_timeout_s)
            dropped("stalled")
            listener.transport.abort()
