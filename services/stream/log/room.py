"""Room for appends on their way to the log, from a body's first byte to its commit: bounded, so a flood is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

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
        self.appends += 1
        try:
            claim.grow(size)
            yield claim
        finally:
            self.appends -= 1
            self.bytes -= claim.size

    def fits(self, held: int, more: int) -> bool:
        """Whether who holds `held` bytes may have `more`; who is alone always may."""
        return self.bytes == held or self.bytes + more <= self._max_bytes


class Claim:
    """One append's place."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes more."""
        if not self._room.fits(self.size, size):
            raise _full()
        self.size += size
        self._room.bytes += size


def _full() -> RateLimited:
    return RateLimited("too many events wait to be written; try again shortly", retry_after_s=_RETRY_AFTER_S)
