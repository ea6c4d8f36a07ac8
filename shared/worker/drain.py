"""What SIGTERM means to a worker that is to drain: preempt, report, then exit; still serving meanwhile."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.kit.logs import logger

Drain = Callable[[], Awaitable[None]]


@asynccontextmanager
async def draining_on_sigterm(drain: Drain, is_wanted: Callable[[], bool] = lambda: True) -> AsyncIterator[None]:
    """Inside the block the first SIGTERM runs `drain` and is then passed on; a second one is passed on at once.

    `is_wanted` is asked when the signal comes: a person who restarts a service leaves its jobs running.
    """
    loop = asyncio.get_running_loop()
    server_exit = signal.getsignal(signal.SIGTERM)
    work: list[asyncio.Task[None]] = []

    def pass_on() -> None:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, server_exit)
        signal.raise_signal(signal.SIGTERM)

    async def drain_then_exit() -> None:
        try:
            await drain()
        finally:
            pass_on()

    def on_sigterm() -> None:
        if work or not is_wanted():
            pass_on()
            return
        logger.info("told to end: draining first")
        work.append(asyncio.create_task(drain_then_exit(), name="drain"))

    loop.add_signal_handler(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
