"""Room for appends on their way to the log, from a body's first byte to its commit: bounded, so a flood is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.stream.log.meters import WAITING, WAITING_BYTES
from shared.kit.errors import RateLimited

_RETRY_AFTER_S = 1.0


class Room:
    """Counts what waits; used on the event loop only."""

    def __init__(self, max_appends: int, max_bytes: int) -> None:
        self._max_appends = max_appends
        self._max_bytes = max_bytes
        self.appends = 0
        self.bytes = 0

    @contextmanager
    def claim(self, size: int = 0) -> Iterator["Claim"]:
        """Hold a place and `size` bytes until the block ends; RateLimited when there is no room."""
        if self.appends >= self._max_appends:
            raise _full()
        claim = Claim(self)
        self._hold(1, 0)
        try:
            claim.grow(size)
            yield claim
        finally:
            self._hold(-1, -claim.size)

    def _hold(self, appends: int, size: int) -> None:
        self.appends += appends
        self.bytes += size
        WAITING.inc(appends)
        WAITING_BYTES.inc(size)

    def give(self, held: int, more: int) -> None:
        """Let who holds `held` bytes have `more`; who is alone always may."""
        if self.bytes != held and self.bytes + more > self._max_bytes:
            raise _full()
        self._hold(0, more)


class Claim:
    """One append's place."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes more."""
        self._room.give(self.size, size)
        self.size += size


def _full() -> RateLimited:
    return RateLimited("too many events wait to be written; try again shortly", retry_after_s=_RETRY_AFTER_S)
