"""Other replicas' events: hints say where to look, only the log says what is there; without hints it is polled."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from services.stream.fanout import Fanout
from services.stream.log.reading import LogReader
from shared.kit.tasks import in_thread


class Bridge(Protocol):
    """Carries "there is more in this topic" between replicas; may lose, repeat or invent hints."""

    @property
    def is_live(self) -> bool:
        """Whether hints arrive now."""
        ...

    def announce(self, topics: Iterable[str]) -> None:
        """Tell the other replicas; never blocks, never fails."""
        ...


class NoBridge:
    """A replica that hears nothing and polls."""

    is_live = False

    def announce(self, topics: Iterable[str]) -> None:
        """Nobody to tell."""


class Watch:
    """Asks the log how far the listened-to topics reach: at once on a hint, else every now and then."""

    def __init__(self, fanout: Fanout, reader: LogReader, poll_s: float, safety_poll_s: float) -> None:
        self._fanout = fanout
        self._reader = reader
        self._poll_s = poll_s
        self._safety_poll_s = safety_poll_s
        self._hinted: set[str] = set()
        self._is_in_doubt = False
        self._wake = asyncio.Event()
        self.bridge: Bridge = NoBridge()

    def hint(self, topic: str) -> None:
        """Somebody says there is more in `topic`."""
        if topic in self._fanout.topics:
            self._hinted.add(topic)
            self._wake.set()

    def doubt(self) -> None:
        """Hints begin, or are over: some may have been missed, so look everywhere now."""
        self._is_in_doubt = True
        self._wake.set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), self._safety_poll_s if self.bridge.is_live else self._poll_s)
            except TimeoutError:
                self._is_in_doubt = True
            wanted = set(self._fanout.topics if self._is_in_doubt else self._hinted)
            self._is_in_doubt = False
            self._wake.clear()
            self._hinted.clear()
            if wanted:
                for topic, position in (await in_thread(self._reader.positions, wanted)).items():
                    self._fanout.advance(topic, position.last_seq)
