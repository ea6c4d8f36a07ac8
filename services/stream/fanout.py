"""Listeners: each is a cursor over ring and log; nothing is queued for anybody."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from services.stream.frames import Frame, encode
from services.stream.log.entries import Record
from services.stream.log.reading import LogReader
from services.stream.ring import Ring
from shared.kit.tasks import in_thread

_PAGE = 500


class Feed:
    """A topic that somebody listens to in this process."""

    def __init__(self, topic: str, ring: Ring, reader: LogReader) -> None:
        self.topic = topic
        self.listeners = 0
        self.ring = ring
        self.newest = 0
        """How far the log is known to reach."""
        self.on_more: Callable[[], None] | None = None
        self._reader = reader
        self._more = asyncio.Event()
        self._reading = asyncio.Lock()

    def committed(self, records: list[Record]) -> None:
        """This process wrote to the topic."""
        self.ring.offer([encode(record) for record in records])
        self.advance(records[-1].seq)

    def advance(self, last_seq: int) -> None:
        """The log is known to reach `last_seq`: wake everybody."""
        if last_seq > self.newest:
            self.newest = last_seq
            self._more.set()
            self._more = asyncio.Event()
            if self.on_more is not None:
                self.on_more()

    async def refresh(self) -> None:
        """Ask the log how far it reaches."""
        self.advance((await in_thread(self._reader.position, self.topic)).last_seq)

    async def after(self, cursor: int) -> list[Frame]:
        """The next run of events after `cursor`, waiting until there is one."""
        while True:
            while cursor >= self.newest:
                await self._more.wait()
            frames = self.ring.after(cursor) or await self.read(cursor)
            if frames:
                return frames
            # The log is shorter than it was known to be (restored from a backup): wait for it to grow again.
            self.newest = cursor

    async def read(self, cursor: int) -> list[Frame]:
        """A page of the log after `cursor`."""
        # One reader at a time: who waited finds the run in the ring.
        async with self._reading:
            if frames := self.ring.after(cursor):
                return frames
            records, _ = await in_thread(self._reader.page, self.topic, cursor, _PAGE)
            frames = [encode(record) for record in records]
            self.ring.offer(frames)
            return frames


class Subscription:
    """One listener's place in a topic."""

    def __init__(self, feed: Feed, after: int) -> None:
        self._feed = feed
        self.cursor = after

    async def next(self) -> list[Frame]:
        """The next run, waiting for it; a wait given up loses nothing."""
        frames = await self._feed.after(self.cursor)
        self.cursor = frames[-1].seq
        return frames

    async def runs(self) -> AsyncIterator[list[Frame]]:
        """Runs of events without gap or repeat, for ever or through the topic's last event."""
        while True:
            frames = await self.next()
            yield frames
            if frames[-1].ends_topic:
                return


class Fanout:
    """All feeds of this process; memory is per topic with listeners, not per listener."""

    def __init__(self, reader: LogReader, ring_events: int, ring_bytes: int) -> None:
        self._reader = reader
        self._ring_events = ring_events
        self._ring_bytes = ring_bytes
        self._feeds: dict[str, Feed] = {}

    @property
    def topics(self) -> Collection[str]:
        """Topics with listeners."""
        return self._feeds.keys()

    def committed(self, records: Mapping[str, list[Record]]) -> None:
        """This process wrote these records."""
        for topic, fresh in records.items():
            if feed := self._feeds.get(topic):
                feed.committed(fresh)

    def advance(self, topic: str, last_seq: int) -> None:
        """The log is known to reach `last_seq`, whoever wrote it."""
        if feed := self._feeds.get(topic):
            feed.advance(last_seq)

    def reach(self, topic: str) -> int:
        """How far a topic with listeners is known to reach; 0 for any other."""
        feed = self._feeds.get(topic)
        return 0 if feed is None else feed.newest

    async def open(self, topic: str) -> Feed:
        """The topic's feed, counting one listener more, until `close`."""
        feed = self._feeds.get(topic)
        is_new = feed is None
        if feed is None:
            feed = self._feeds[topic] = Feed(topic, Ring(self._ring_events, self._ring_bytes), self._reader)
        feed.listeners += 1
        if is_new:
            try:
                # Asked after the feed is in place: what is committed from here on announces itself.
                await feed.refresh()
            except BaseException:
                self.close(feed)
                raise
        return feed

    def close(self, feed: Feed) -> None:
        """One listener less; the feed lives while anybody listens."""
        feed.listeners -= 1
        if feed.listeners == 0:
            del self._feeds[feed.topic]

    @asynccontextmanager
    async def subscribe(self, topic: str, after: int) -> AsyncIterator[Subscription]:
        """Listen to `topic` after `after`."""
        feed = await self.open(topic)
        try:
            yield Subscription(feed, after)
        finally:
            self.close(feed)
