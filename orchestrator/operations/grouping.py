"""Group commit: calls that wait while one transaction commits go together into the next."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.kit.errors import ImtsError
from shared.kit.tasks import in_thread

T = TypeVar("T")
R = TypeVar("R")


class Group(Generic[T, R]):
    """Hands what has gathered to `write`, one group at a time; an answer that is an ImtsError is raised to its caller.

    One commit for many callers: on a small machine a commit each made a POST three times as dear.
    """

    def __init__(self, write: Callable[[list[T]], list[R | ImtsError]], limit: int = 64) -> None:
        self._write = write
        self._limit = limit
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: T) -> R:
        """Wait for the group that `item` is written with."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="group commit")
        return await answer

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._limit)
                await self._write_one([self._waiting.popleft() for _ in range(size)])
        finally:
            self._writer = None

    async def _write_one(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        writing = in_thread(self._write, [item for item, _ in group])
        (written,) = await asyncio.gather(writing, return_exceptions=True)
        answers = [written] * len(group) if isinstance(written, BaseException) else written
        for (_, waiting), answer in zip(group, answers, strict=True):
            if waiting.done():  # its caller hung up; what was written stands
                continue
            if isinstance(answer, BaseException):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
