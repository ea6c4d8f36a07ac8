"""Listeners: each is a cursor over ring and log; nothing is queued for anybody."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping

from services.stream.frames import Frame, encode
from services.stream.log.entries import Record
from services.stream.log.reading import LogReader
from services.stream.ring import Place, Ring, got, moved
from shared.kit.errors import NotFound, Unavailable
from shared.kit.metrics import Counter
from shared.kit.tasks import in_thread

ring_misses = Counter("stream_ring_misses_total", "Pages of the log read for listeners whom the ring cannot serve")

_PAGE = 500
_SHELVES = 4

Wake = Callable[[], None]


class Feed:
    """A topic that somebody listens to in this process."""

    def __init__(self, topic: str, ring: Ring, reader: LogReader) -> None:
        self.topic = topic
        self.listeners = 0
        self.ring = ring
        self.newest = 0
        """How far the log is known to reach."""
        self.watchers: dict[Wake, Callable[[], int]] = {}
        """Called when it reaches further; each knows the last event that its listeners have."""
        self._reader = reader
        self._reading = asyncio.Lock()
        # Pages for those far behind, shared like the ring: a listener never holds events of its own.
        self._shelves: deque[Ring] = deque(maxlen=_SHELVES)

    def committed(self, records: list[Record]) -> None:
        """This process wrote to the topic."""
        self.ring.offer([encode(record) for record in records])
        self.advance(records[-1].seq)

    def advance(self, last_seq: int) -> None:
        """The log is known to reach `last_seq`: wake everybody."""
        if last_seq > self.newest:
            self.newest = last_seq
            for wake in self.watchers:
                wake()

    def furthest_behind(self) -> int:
        """How many events the listener furthest behind has still to get; may be asked from another thread."""
        return max((self.newest - reached() for reached in list(self.watchers.values())), default=0)

    async def refresh(self) -> None:
        """Ask the log how far it reaches."""
        self.advance((await in_thread(self._reader.position, self.topic)).last_seq)

    def held(self, seq: int) -> Ring | None:
        """What has the event after `seq` in memory."""
        return next((ring for ring in (self.ring, *self._shelves) if ring.holds(seq + 1)), None)

    async def find(self, seq: int) -> Ring | None:
        """The same, or a page of the log; None where the log has no such event yet."""
        # One reader at a time: who waited finds the page in memory.
        async with self._reading:
            if (ring := self.held(seq)) is not None:
                return ring
            ring_misses.inc()
            try:
                records, _ = await in_thread(self._reader.page, self.topic, seq, _PAGE)
            except NotFound as fault:
                # Deleted under its listeners: they are cut, and told when they come back.
                raise Unavailable(fault.message) from fault
            if not records:
                # The log is shorter than it was known to be (restored from a backup): wait for it to grow again.
                self.newest = min(self.newest, seq)
                return None
            frames = [encode(record) for record in records]
            self.ring.offer(frames)
            if not self.ring.holds(seq + 1):
                self._shelves.append(Ring.of(frames))
            return self.held(seq)


class Subscription:
    """One listener's place in a topic."""

    __slots__ = ("feed", "got", "has_ended", "place", "wake")

    def __init__(self, feed: Feed, after: int, wake: Wake) -> None:
        self.feed = feed
        self.wake = wake
        self.place: Place = (after, 0)
        self.has_ended = False
        """Whether the listener has the topic's last event."""
        self.got = 0
        """How many events it has in full."""

    @property
    def seq(self) -> int:
        """The last event the listener has in full."""
        return self.place[0]

    @property
    def is_between_events(self) -> bool:
        """Whether it has no part of the next."""
        return self.place[1] == 0

    async def _run(self, max_bytes: int) -> list[Frame]:
        seq = self.place[0]
        if seq >= self.feed.newest:
            return []
        ring = self.feed.held(seq) or await self.feed.find(seq)
        return [] if ring is None else ring.after(seq, max_bytes)

    async def frames(self, max_bytes: int) -> list[Frame]:
        """The next run, at least one event; empty while there is none. A wait given up loses nothing."""
        run = await self._run(max_bytes)
        if run:
            self._move((run[-1].seq, 0), run)
        return run

    async def chunk(self, max_bytes: int) -> bytes:
        """The next bytes as SSE, events cut where they are larger; empty while there are none."""
        run = await self._run(max_bytes)
        done = self.place[1]
        chunk = b"".join([frame.sse for frame in run])[done : done + max_bytes]
        self._move(moved(self.place, run, len(chunk)), run)
        return chunk

    def _move(self, place: Place, run: list[Frame]) -> None:
        self.place = place
        self.got += got(run, place)
        self.has_ended = bool(run) and run[-1].ends_topic and place == (run[-1].seq, 0)


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

    @property
    def listeners(self) -> int:
        """How many places in topics are held; a WebSocket has one a topic."""
        return sum(feed.listeners for feed in self._feeds.values())

    def furthest_behind(self) -> int:
        """How many events the listener furthest behind has still to get."""
        return max((feed.furthest_behind() for feed in list(self._feeds.values())), default=0)

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

    async def follow(self, topic: str, after: int, wake: Wake) -> Subscription:
        """Listen to `topic` after `after`, until `leave`; `wake` is called when there is more."""
        feed = await self.open(topic)
        subscription = Subscription(feed, after, wake)
        feed.watchers[wake] = lambda: subscription.seq
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Listen no longer."""
        del subscription.feed.watchers[subscription.wake]
        self.close(subscription.feed)
