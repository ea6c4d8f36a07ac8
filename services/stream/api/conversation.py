"""One WebSocket: requests in, and the events of every topic it follows out by a single task."""

import asyncio
import json
import random
import time
from functools import partial
from typing import Any

from fastapi import WebSocket

from services.stream.api.resume import find_start
from services.stream.counting import dropped, websocket_delivered
from services.stream.fanout import Subscription
from services.stream.wiring import Stream
from shared.contracts.events import FAREWELL, HEARTBEAT, RESET, STREAM_END
from shared.kit.application import principal_of
from shared.kit.errors import Forbidden, RateLimited

MAX_TOPICS = 64
_RUN = 16 * 1024
"""Most of one topic before the next topic's turn."""
_NORMAL, _GOING_AWAY = 1000, 1001


class Conversation:
    """What one socket follows: a cursor a topic."""

    def __init__(self, socket: WebSocket, stream: Stream) -> None:
        self._socket = socket
        self._stream = stream
        self._settings = stream.settings
        self._only_topic = principal_of(socket).only_topic
        self._turn = asyncio.Lock()
        self._followed: dict[str, Subscription] = {}
        # Topics with more to send, the longest waiting first.
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._closes_when_done = False
        self._is_closed = False

    async def _send(self, text: str) -> None:
        async with self._turn, asyncio.timeout(self._settings.send_timeout_s):
            if not self._is_closed:
                await self._socket.send_text(text)

    async def _close(self, code: int, reason: str = "") -> None:
        self._is_closed = True
        await self._socket.close(code, reason)

    async def say(self, message_type: str, **values: Any) -> None:
        """Send one message that is no event of the log."""
        await self._send(json.dumps({"message_type": message_type, **values}))

    async def subscribe(self, topic: str, after: int, *, alone: bool = False) -> None:
        """Follow `topic`; a second subscription to it starts over. `alone`: the socket closes when it has ended."""
        if self._only_topic not in {None, topic}:
            raise Forbidden("your ticket is for another topic", param="topic")
        if topic not in self._followed and len(self._followed) >= MAX_TOPICS:
            raise RateLimited(f"a socket follows {MAX_TOPICS} topics at most; unsubscribe one or open another")
        self._forget(topic)
        self._closes_when_done = alone
        start = await find_start(self._stream, topic, after)
        if start.reset:
            await self.say(RESET, topic=topic, reason=start.reset, last_seq=start.last_seq)
        await self.say("subscribed", topic=topic, after=start.after, last_seq=start.last_seq)
        if start.is_over:
            await self._end(topic, start.after)
            return
        self._followed[topic] = await self._stream.fanout.follow(topic, start.after, partial(self._is_due, topic))
        self._is_due(topic)

    async def unsubscribe(self, topic: str) -> None:
        """Follow `topic` no longer."""
        self._forget(topic)
        await self.say("unsubscribed", topic=topic)

    def _forget(self, topic: str) -> None:
        if (place := self._followed.pop(topic, None)) is not None:
            self._stream.fanout.leave(place)

    def _is_due(self, topic: str) -> None:
        self._due[topic] = None
        self._wake.set()

    async def _end(self, topic: str, last_seq: int) -> None:
        self._forget(topic)
        await self.say(STREAM_END, topic=topic, last_seq=last_seq)
        if self._closes_when_done and not self._followed:
            await self._close(_NORMAL)

    async def deliver(self) -> None:
        """Send what there is, a run of each topic in turn, until the socket has been open for long."""
        life = self._settings.max_life_s * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load, guards nothing
        ends_at = time.monotonic() + life
        while not self._is_closed and time.monotonic() < ends_at:
            if not self._due:
                self._wake.clear()
                await self._rest()
                continue
            topic = next(iter(self._due))
            del self._due[topic]
            if place := self._followed.get(topic):
                await self._deliver_run(topic, place)
        if self._is_closed:
            return
        dropped("life_cap")
        retry = random.randint(self._settings.farewell_retry_ms // 2, self._settings.farewell_retry_ms * 2)  # noqa: S311
        reached = {topic: place.seq for topic, place in self._followed.items()}
        await self.say(FAREWELL, reason="life_cap", retry_ms=retry, topics=reached)
        await self._close(_GOING_AWAY, "open for long; resume by seq")

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._settings.heartbeat_s):
                await self._wake.wait()
        except TimeoutError:
            await self.say(HEARTBEAT)

    async def _deliver_run(self, topic: str, place: Subscription) -> None:
        run = await place.frames(_RUN)
        sent = 0
        try:
            for frame in run:
                if self._followed.get(topic) is not place:
                    return
                await self._send(frame.message(topic))
                sent += 1
        finally:
            websocket_delivered.inc(sent)
        if place.has_ended:
            await self._end(topic, place.seq)
        elif run:
            self._is_due(topic)

    def leave(self) -> None:
        """The socket is gone: follow nothing."""
        for topic in list(self._followed):
            self._forget(topic)
