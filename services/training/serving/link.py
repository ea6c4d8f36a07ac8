"""One living engine process and the calls that are with it; everybody is told when it is gone."""

import asyncio
import contextlib
import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.training.serving.gauges import TOKENS
from services.training.serving.task import Task
from shared.contracts.serving import EngineNews, Fault, LoadedWeights, Order, Saying, ServingCall
from shared.kit.logs import logger
from shared.kit.tasks import in_thread

_MODULE = "services.training.serving.engine"
_LINE_BYTES = 1 << 24
_END_S = 5.0
_LOG_BYTES = 1 << 22
LOST = Fault(kind="not_now", code="engine_lost", message="the serving engine died; it starts again, so ask again")


class Conversation:
    """One call: what the engine says of it, in order."""

    def __init__(self, link: "Link", number: int) -> None:
        self._link = link
        self.number = number
        self._sayings: asyncio.Queue[Saying] = asyncio.Queue()
        self._is_over = False

    def hear(self, saying: Saying) -> None:
        """The engine said this."""
        self._sayings.put_nowait(saying)

    async def next(self) -> Saying:
        """What comes next; not to be called after the last."""
        saying = await self._sayings.get()
        self._is_over = saying.is_last
        if saying.usage is not None:
            TOKENS.labels("prompt").inc(saying.usage.prompt_tokens)
            TOKENS.labels("completion").inc(saying.usage.completion_tokens)
        return saying

    def close(self) -> None:
        """Nobody listens any more; an answer in the making is given up."""
        self._link.forget(self.number, is_over=self._is_over)


class Link:
    """A process, started now; `ready` resolves when its imports are done, or when it is gone."""

    def __init__(self, task: Task, environment: dict[str, str], log: Path, on_lost: Callable[["Link"], None]) -> None:
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._calls: dict[int, Conversation] = {}
        self.loaded: list[LoadedWeights] = []
        self.is_ready = self.is_gone = False
        self._heard_at = time.monotonic()
        self.ready = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".old"))
        with theirs, log.open("ab") as output:
            # By the loop's own thread: the kernel ends the engine with the thread that started it.
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-m", _MODULE, task.model_dump_json()],
                stdin=theirs.fileno(), stdout=output, stderr=output, env=environment, start_new_session=True,
            )  # fmt: skip
        self._socket = ours
        self._writer: asyncio.StreamWriter | None = None
        self._reading = asyncio.create_task(self._read(), name="serving-engine")

    @property
    def pid(self) -> int:
        """The process's."""
        return self._process.pid

    @property
    def in_flight(self) -> int:
        """Calls that are with it."""
        return len(self._calls)

    @property
    def silence_s(self) -> float:
        """How long it has owed an answer and said nothing."""
        return time.monotonic() - self._heard_at if self._calls else 0.0

    def kill(self) -> None:
        """End a process that hangs; those who wait are told as of any that died."""
        self._process.kill()

    async def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            reader, self._writer = await asyncio.open_connection(sock=self._socket, limit=_LINE_BYTES)
            while line := await reader.readline():
                self._hear(EngineNews.model_validate_json(line))
        self._end()

    def _hear(self, news: EngineNews) -> None:
        self._heard_at = time.monotonic()
        if not self.is_ready:
            self.is_ready = True
            self.ready.set_result(None)
        if news.loaded is not None:
            self.loaded = news.loaded
        for saying in news.sayings:
            if call := self._calls.get(saying.number):
                call.hear(saying)

    def _end(self) -> None:
        self.is_gone = True
        self.loaded = []
        if not self.ready.done():
            self.ready.set_result(None)
        for call in self._calls.values():
            call.hear(Saying(number=call.number, fault=LOST))
        self._on_lost(self)

    def ask(self, call: ServingCall) -> Conversation:
        """Hand a call to the engine, which must be ready."""
        conversation = Conversation(self, next(self._numbers))
        if not self._calls:
            self._heard_at = time.monotonic()
        self._calls[conversation.number] = conversation
        if self.is_gone:
            conversation.hear(Saying(number=conversation.number, fault=LOST))
        else:
            self._send(Order(number=conversation.number, call=call))
        return conversation

    def forget(self, number: int, *, is_over: bool) -> None:
        """A conversation is closed."""
        if self._calls.pop(number, None) is not None and not is_over and not self.is_gone:
            self._send(Order(number=number, is_cancelled=True))

    def _send(self, order: Order) -> None:
        assert self._writer is not None
        self._writer.write(order.model_dump_json(exclude_none=True).encode() + b"\n")

    async def close(self) -> None:
        """End the process and collect it."""
        if self._writer is not None:
            self._writer.close()
        else:
            self._socket.close()
        try:
            await in_thread(self._process.wait, _END_S)
        except subprocess.TimeoutExpired:
            logger.warning("the serving engine did not end by itself; it is killed")
            self._process.kill()
            await in_thread(self._process.wait)
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
