"""A topic's handed-over listeners: one pump for all, which joins what a cursor missed once and writes it to each."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from services.stream.counting import Reason, dropped, sse_delivered
from services.stream.fanout import Feed
from services.stream.frames import Frame, sse_end, sse_farewell
from services.stream.handoff import Heir
from services.stream.ring import Place, Ring, got, moved
from shared.kit.errors import Unavailable
from shared.kit.logs import logger

_CHUNK = 64 * 1024
"""Most that one listener is written in one turn of the loop."""
_KEPT = 16
"""Chunks kept while somebody is behind."""
_PARKED = 16 * 1024
"""Most that waits in memory for a listener whose socket is full; the rest of what it misses stays a number."""


class Group:
    """Listeners at the same place."""

    __slots__ = ("members", "place")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.members: dict[int, Listener] = {}


class Listener(Heir):
    """One connection: in a group of its crowd while it takes what it is sent, alone while its socket is full."""

    __slots__ = ("crowd", "ends_at", "group", "is_leaving", "is_paused", "paused_since")

    def __init__(self, crowd: "Crowd", after: int, ends_at: float) -> None:
        self.crowd = crowd
        self.group = Group((after, 0))
        self.ends_at = ends_at
        self.is_paused = False
        self.is_leaving = False
        self.paused_since = 0.0

    def begin(self, head: bytes) -> None:
        """Say `head`, then follow the topic."""
        self.transport.write(head)
        # The pause may have been told to the protocol before this one; the resumption will come here.
        if not self.is_paused and self.transport.get_write_buffer_size() > 0:
            self.pause_writing()
        self.crowd.place(self, self.group.place)

    def say_last(self, words: bytes) -> None:
        """Say `words` and close; what is in the middle of an event is not interrupted, only closed."""
        if not self.is_leaving:
            self.is_leaving = True
            self.crowd.leave(self)
            if self.group.place[1] == 0:
                self.transport.write(words)
            self.transport.close()

    def farewell(self, reason: Reason, retry_ms: int) -> None:
        """Ask the client to come again, each at a time of its own."""
        if not self.is_leaving:
            dropped(reason)
        self.say_last(sse_farewell(reason, self.group.place[0], retry_ms))

    def beat(self, words: bytes) -> None:
        """Show that the connection lives, unless that is seen anyway."""
        if not self.is_paused and not self.is_leaving and self.group.place[1] == 0:
            self.transport.write(words)

    def pause_writing(self) -> None:
        """The socket is full: a write past the transport would now overtake what it holds back."""
        self.is_paused = True
        self.crowd.leave(self)
        self.group = Group(self.group.place)
        self.paused_since = time.monotonic()
        self.crowd.stalled[self] = None

    def resume_writing(self) -> None:
        """The socket has taken everything; go on from the place it stopped at."""
        self.is_paused = False
        self.crowd.stalled.pop(self, None)
        if not self.is_leaving:
            self.crowd.place(self, self.group.place)

    def connection_lost(self, fault: Exception | None) -> None:
        """Nothing of it stays."""
        super().connection_lost(fault)
        self.is_leaving = True
        self.crowd.stalled.pop(self, None)
        self.crowd.leave(self)
        self.crowd.gone(self)

    def shutdown(self) -> None:
        """The server stops; another one, or the next, goes on."""
        self.farewell("shutting_down", 1000)


class Chunk(NamedTuple):
    """What follows a place, joined, the place after it, and how many events it completes."""

    data: bytes
    reached: Place
    run: Sequence[Frame]
    events: int


class Crowd:
    """Everybody handed over who follows one topic, grouped by what they have."""

    def __init__(self, feed: Feed, stalled: dict[Listener, None], gone: Callable[[Listener], None]) -> None:
        self.feed = feed
        self.stalled = stalled
        self.gone = gone
        self._groups: dict[Place, Group] = {}
        self._ended_at: int | None = None
        self._is_due = False
        self._refill: asyncio.Task[None] | None = None
        self._full_chunks: dict[Place, Chunk] = {}
        feed.watchers[self.schedule] = self.reached

    def reached(self) -> int:
        """The last event that the listener furthest behind has; may be asked from another thread."""
        stalled = [listener.group.place for listener in list(self.stalled) if listener.crowd is self]
        return min([*self._groups, *stalled], default=(self.feed.newest, 0))[0]

    def schedule(self) -> None:
        """Pump in this turn of the loop, once however often it is asked."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def place(self, listener: Listener, place: Place) -> None:
        """Have `listener` sent what follows `place`; later, if its socket is full."""
        if place == (self._ended_at, 0):
            listener.group = Group(place)
            listener.say_last(sse_end(place[0]))
        elif listener.is_paused:
            listener.group = Group(place)
        else:
            listener.group = self._groups.setdefault(place, Group(place))
            listener.group.members[listener.fd] = listener
            if place[0] < self.feed.newest:
                self.schedule()

    def leave(self, listener: Listener) -> None:
        """Send it nothing more."""
        group = listener.group
        if group.members.pop(listener.fd, None) and not group.members and self._groups.get(group.place) is group:
            del self._groups[group.place]

    def _behind(self) -> list[Group]:
        return [group for group in self._groups.values() if group.place[0] < self.feed.newest]

    def _pump(self) -> None:
        self._is_due = False
        if self._send(self.feed.ring):
            self.schedule()
        elif not self._behind():
            self._full_chunks.clear()
        elif self._refill is None:
            self._refill = asyncio.create_task(self._refill_from_log())
            self._refill.add_done_callback(self._refilled)

    def _send(self, source: Ring) -> bool:
        """Write each group one chunk of what `source` has for it; whether there may be more."""
        has_more = False
        for group in self._behind():
            if (chunk := self._chunk(source, group.place)) is not None:
                self._write(group, chunk)
                has_more = has_more or chunk.reached[0] < min(self.feed.newest, source.last_seq)
        return has_more

    def _chunk(self, source: Ring, place: Place) -> Chunk | None:
        if (known := self._full_chunks.get(place)) is not None:
            return known
        if not (run := source.after(place[0], max_bytes=_CHUNK)):
            return None
        joined = run[0].sse if len(run) == 1 else b"".join([frame.sse for frame in run])
        data = joined if place[1] == 0 and len(joined) <= _CHUNK else joined[place[1] : place[1] + _CHUNK]
        reached = moved(place, run, len(data))
        chunk = Chunk(data, reached, run, got(run, reached))
        if run[-1].seq < source.last_seq:
            # Events never change, so a full chunk serves everybody who comes to this place.
            if len(self._full_chunks) == _KEPT:
                self._full_chunks.clear()
            self._full_chunks[place] = chunk
        return chunk

    def _write(self, group: Group, chunk: Chunk) -> None:
        place, run, data = group.place, chunk.run, chunk.data
        del self._groups[place]
        size = len(data)
        write = os.write
        full: list[tuple[int, int]] = []
        lost: list[int] = []
        for fd in group.members:
            try:
                sent = write(fd, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                lost.append(fd)
                continue
            if sent != size:
                full.append((fd, sent))
        if run[-1].ends_topic:
            self._ended_at = run[-1].seq
        for fd in lost:
            group.members.pop(fd).transport.abort()
        slow = [(group.members.pop(fd), sent) for fd, sent in full]
        count = len(group.members) * chunk.events
        self._move(group, chunk.reached)
        for listener, sent in slow:
            rest = data[sent : sent + _PARKED]
            listener.transport.write(rest)
            reached = moved(place, run, sent + len(rest))
            count += got(run, reached)
            self.place(listener, reached)
        sse_delivered.inc(count)

    def _move(self, group: Group, place: Place) -> None:
        group.place = place
        if place == (self._ended_at, 0):
            words = sse_end(place[0])
            for listener in list(group.members.values()):
                listener.say_last(words)
        elif place in self._groups:
            for listener in group.members.values():
                self.place(listener, place)
        elif group.members:
            self._groups[place] = group

    async def _refill_from_log(self) -> None:
        """Read the log in pages for those behind the ring, the furthest behind first."""
        while waiting := self._misses():
            lowest = min(group.place for group in waiting)[0]
            if (shelf := await self.feed.find(lowest)) is None:
                return
            while True:
                if not self._send(shelf):
                    break
                await asyncio.sleep(0)

    def _misses(self) -> list[Group]:
        return [group for group in self._behind() if not self.feed.ring.holds(group.place[0] + 1)]

    def _refilled(self, task: asyncio.Task[None]) -> None:
        self._refill = None
        if task.cancelled():
            return
        fault = task.exception()
        if fault is None:
            self.schedule()
            return
        if not isinstance(fault, Unavailable):
            raise fault
        logger.warning("streams of {} are cut: the log cannot be read; their listeners resume", self.feed.topic)
        self._cut(self._misses())

    def _cut(self, groups: Iterable[Group]) -> None:
        for group in groups:
            for listener in list(group.members.values()):
                listener.farewell("log_unreadable", 1000)

    def close(self) -> None:
        """Nobody listens any more."""
        del self.feed.watchers[self.schedule]
        if self._refill is not None:
            self._refill.cancel()
