"""Background tasks that never die silently, and the one way from async code to blocking code."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import ParamSpec, TypeVar

import anyio.to_thread

from shared.kit.errors import Unavailable
from shared.kit.logs import logger

_CANCEL_AGAIN_S = 1.0

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in the pool whose size is `settings.threads`."""
    return await anyio.to_thread.run_sync(lambda: call(*args, **kwargs))


def set_thread_limit(threads: int) -> None:
    """Size the pool that `in_thread` and plain `def` routes share."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = threads


async def supervise(name: str, body: Callable[[], Awaitable[None]], restart_after_s: float = 1.0) -> None:
    """Run `body` for ever; a crash is logged and the body started again, as it is when what it needs is away."""
    while True:
        try:
            await body()
        except Unavailable as fault:
            logger.warning("background task {} waits: {}", name, fault.message)
        except Exception:  # noqa: BLE001 - one of the three places that may catch everything
            logger.exception("background task {} failed; it starts again", name)
        await asyncio.sleep(restart_after_s)


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until they end: a cancellation that meets the end of an inner wait can be swallowed, once."""
    living = set(tasks)
    while living:
        for task in living:
            task.cancel()
        _, living = await asyncio.wait(living, timeout=_CANCEL_AGAIN_S)


@contextlib.asynccontextmanager
async def running(*bodies: tuple[str, Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Supervised tasks that live as long as the `async with` block."""
    tasks = [asyncio.create_task(supervise(name, body), name=name) for name, body in bodies]
    try:
        yield
    finally:
        await end_tasks(tasks)
