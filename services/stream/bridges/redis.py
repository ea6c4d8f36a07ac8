"""The door to Redis: pub/sub that says "there is more", and nothing that a flush could lose."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from shared.kit.logs import logger

_CHANNEL = "imts:stream:more"
_RETRY_S = 1.0
_QUIET_S = 5.0


class RedisBridge:
    """Hints through one channel; while Redis is away the replicas poll and this tries again."""

    def __init__(self, url: str, on_hint: Callable[[str], None], on_doubt: Callable[[], None]) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=2, socket_timeout=10, health_check_interval=0)
        self._on_hint = on_hint
        self._on_doubt = on_doubt
        self._me = secrets.token_hex(8)
        self._pending: set[str] = set()
        self._wake = asyncio.Event()
        self.is_live = False

    def announce(self, topics: Iterable[str]) -> None:
        """Have the other replicas look; forgotten when Redis is away, because they poll then."""
        if self.is_live:
            self._pending.update(topics)
            self._wake.set()

    async def speak(self) -> None:
        """Publish what was announced, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            topics, self._pending = self._pending, set()
            try:
                await self._redis.publish(_CHANNEL, " ".join((self._me, *sorted(topics))))
            except (RedisError, OSError) as fault:
                self._lost(fault)

    async def listen(self) -> None:
        """Hear the others, for ever."""
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(_CHANNEL)
                    await self._hear(channel)
            except (RedisError, OSError) as fault:
                self._lost(fault)
            await asyncio.sleep(_RETRY_S)

    async def _hear(self, channel: PubSub) -> None:
        while True:
            message = await channel.get_message(ignore_subscribe_messages=False, timeout=_QUIET_S)
            if message is None:
                await channel.ping()
            elif message["type"] == "message":
                self._heard(message["data"].decode(errors="replace").split())
            else:
                self._found()

    def _heard(self, words: list[str]) -> None:
        if words and words[0] != self._me:
            for topic in words[1:]:
                self._on_hint(topic)
            if len(words) == 1:
                self._on_doubt()

    def _found(self) -> None:
        if not self.is_live:
            logger.info("wake-ups between replicas go through Redis")
            self.is_live = True
            # A greeting: the others look for what was written here while this replica could not announce.
            self._wake.set()
            self._on_doubt()

    def _lost(self, fault: Exception) -> None:
        if self.is_live:
            logger.warning("Redis is away ({}); replicas poll until it is back", type(fault).__name__)
            self.is_live = False
            self._on_doubt()

    async def close(self) -> None:
        """Give the connections back."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()
