"""Wakes the background loops from any thread."""

import asyncio
import contextlib


class Bell:
    """Rung from any thread, heard by one task of the loop it was made ready for; ringing twice is ringing once."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()

    def bind(self) -> None:
        """Belong to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the listener; before `bind` nobody listens and the first turn sees everything anyway."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, timeout_s: float) -> bool:
        """Until rung, at most `timeout_s`; whether it rang."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), timeout_s)
        rang = self._rung.is_set()
        self._rung.clear()
        return rang


class Bells:
    """`Signals` for the loops of this process."""

    def __init__(self) -> None:
        self.reconciler = Bell()
        self.outbox = Bell()

    def bind(self) -> None:
        """Belong to the running loop."""
        self.reconciler.bind()
        self.outbox.bind()

    def job_changed(self, job_id: str) -> None:
        """The reconciler finds the job by its row; the id is for readers of traces."""
        del job_id
        self.reconciler.ring()

    def outbox_grew(self) -> None:
        self.outbox.ring()
