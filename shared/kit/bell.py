"""Waking a background loop early, from any thread."""

import asyncio
import contextlib


class Bell:
    """Rung by whoever has work for a loop; several rings before it looks are one."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the listener; before it listens for the first time there is nobody to wake, and it will not wait."""
        if self._loop is None:
            self._rung.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, timeout_s: float) -> None:
        """Return when rung, or after the timeout."""
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        self._rung.clear()
