"""The newest events of a topic, encoded: a gapless run, bounded in number and bytes."""

from collections import deque
from collections.abc import Sequence

from services.stream.frames import Frame
from shared.contracts.events import COMPACTED

Place = tuple[int, int]
"""The last event a listener has in full, and how many bytes of the one after."""


def moved(place: Place, run: Sequence[Frame], count: int) -> Place:
    """The place `count` bytes further along `run`, which begins after the place's event."""
    seq, done = place
    done += count
    for frame in run:
        if done < len(frame.sse):
            break
        done -= len(frame.sse)
        seq = frame.seq
    return seq, done


def got(run: Sequence[Frame], place: Place) -> int:
    """How many events of `run` whoever comes to `place` has got; `compacted` is one, whatever it stands for."""
    return sum(frame.seq <= place[0] for frame in run)


class Ring:
    """What listeners near the head read instead of the log."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0

    @classmethod
    def of(cls, frames: Sequence[Frame]) -> "Ring":
        """A ring that holds just this run."""
        ring = cls(len(frames), sum(len(frame.sse) for frame in frames))
        ring.offer(frames)
        return ring

    @property
    def last_seq(self) -> int:
        """The newest event it holds; 0 when empty."""
        return self._frames[-1].seq if self._frames else 0

    def offer(self, frames: Sequence[Frame]) -> None:
        """Take what is newer; a run that does not join on replaces what is here, so that the ring has no hole."""
        fresh = [frame for frame in frames if frame.seq > self.last_seq]
        if not fresh:
            return
        if fresh[0].seq != self.last_seq + 1:
            self._frames.clear()
            self._bytes = 0
        self._frames.extend(fresh)
        self._bytes += sum(len(frame.sse) for frame in fresh)
        while len(self._frames) > self._max_events or (self._bytes > self._max_bytes and len(self._frames) > 1):
            self._bytes -= len(self._frames.popleft().sse)

    def holds(self, seq: int) -> bool:
        """Whether the event numbered `seq` is here, or `compacted`, which stands for it."""
        if not self._frames or seq > self.last_seq:
            return False
        first = self._frames[0]
        return first.seq <= seq or first.event_type == COMPACTED

    def after(self, seq: int, max_bytes: int = 32 * 1024) -> list[Frame]:
        """The run that follows `seq`, one event at least; empty when the ring begins later or ends there."""
        if not self.holds(seq + 1):
            return []
        frames = self._frames
        run: list[Frame] = []
        size = 0
        for place in range(max(0, seq + 1 - frames[0].seq), len(frames)):
            frame = frames[place]
            size += len(frame.sse)
            if run and size > max_bytes:
                break
            run.append(frame)
        return run
