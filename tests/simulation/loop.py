"""An event loop whose time passes only while everybody waits, and whose threads are seeded pauses."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

import anyio.to_thread

T = TypeVar("T")


class Stuck(AssertionError):
    """Everybody waits, and nothing is ever going to happen."""


class Process(Protocol):
    """Whose code runs: it may be slow, frozen or dead."""

    async def breathe(self) -> None:
        """Let others have a turn; never returns in a dead process."""
        ...


RUNNING_IN: ContextVar[Process] = ContextVar("RUNNING_IN")
"""The simulated process that a task belongs to."""


class _Skipping(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("no timer is set and no task is ready")
        self.now += max(timeout, 0.0)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Seconds of `time()` are virtual; there is no input, output or thread."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now

    def _write_to_self(self) -> None:
        """`call_soon_threadsafe` has nobody to wake."""


async def _inline(call: Callable[[], T], *_: Any, **__: Any) -> T:
    process = RUNNING_IN.get()
    await process.breathe()
    result = call()
    await process.breathe()
    return result


@contextmanager
def threads_are_pauses() -> Iterator[None]:
    """`kit.tasks.in_thread` runs its call in the loop, between two breaths of its process."""
    real = anyio.to_thread.run_sync
    anyio.to_thread.run_sync = _inline  # type: ignore[assignment]
    try:
        yield
    finally:
        anyio.to_thread.run_sync = real


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time; tasks it leaves behind are dropped."""
    loop = SimulatedLoop()
    try:
        with threads_are_pauses():
            return loop.run_until_complete(main)
    finally:
        while left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        asyncio.set_event_loop(None)
        loop.close()
