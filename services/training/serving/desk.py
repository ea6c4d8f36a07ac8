"""Where calls come in: starts the engine when it is first needed, again when it died, and ends it when nobody asks."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.training.serving.gauges import IN_FLIGHT, STARTS
from services.training.serving.link import LOST, Conversation, Link
from services.training.serving.task import Task
from services.training.settings import TrainingSettings
from shared.contracts.serving import ServingCall, ServingView
from shared.kit.bell import Bell
from shared.kit.errors import RateLimited, Unavailable
from shared.kit.logs import logger
from shared.kit.tasks import running
from shared.worker.environment import cache_of, own_engine_environment
from shared.worker.executors.local import absolute_store
from shared.worker.machine import memory_bytes

_LOOK_S = 1.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MEMORY_SHARE = 4
"""Of the machine's memory, when nothing was said: the rest is for training."""


class Desk:
    """All serving of this service; lives in the event loop."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._link: Link | None = None
        self._lost: list[Link] = []
        self._bell = Bell()
        self._arriving = 0
        self._starts_again = False
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._asked_at = time.monotonic()
        IN_FLIGHT.set_function(lambda: self.in_flight)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Take calls; at the end the engine ends too."""
        try:
            async with running(("serving", self._tend)):
                yield
        finally:
            await self._end()

    async def ask(self, call: ServingCall) -> Conversation:
        """Begin a call; RateLimited when too many are here, Unavailable when there is no engine to be had."""
        if self.in_flight >= self._settings.serving_queue:
            raise RateLimited(
                f"{self.in_flight} calls wait or are being answered, which is as many as may",
                code="serving_queue_full", retry_after_s=1,
            )  # fmt: skip
        self._asked_at = time.monotonic()
        self._arriving += 1
        try:
            link = self._link or self._start()
            await asyncio.shield(link.ready)
        finally:
            self._arriving -= 1
        if link.is_gone:
            raise self._refusal()
        self._pause_s = _FIRST_PAUSE_S
        return link.ask(call)

    @property
    def in_flight(self) -> int:
        """Calls that wait or are being answered."""
        return self._arriving + (self._link.in_flight if self._link else 0)

    def view(self) -> ServingView:
        """How it stands."""
        link = self._link
        return ServingView(
            engine="off" if link is None else "on" if link.is_ready else "starting", in_flight=self.in_flight,
            most_in_flight=self._settings.serving_queue, loaded=link.loaded if link else [],
        )  # fmt: skip

    def _refusal(self) -> Unavailable:
        return Unavailable(LOST.message, code=LOST.code, retry_after_s=max(self._not_before - time.monotonic(), 1))

    def _start(self) -> Link:
        if time.monotonic() < self._not_before:
            raise self._refusal()
        settings = self._settings
        cache = cache_of(settings)
        task = Task(
            artifacts_url=absolute_store(settings.artifacts), cache=str(cache), parent=os.getpid(),
            most_rows=settings.serving_rows, most_tokens=settings.serving_max_tokens, idle_s=settings.serving_idle_s,
            capacity=int((settings.serving_memory_gb or 0) * 1e9), most_by_default=memory_bytes() // _MEMORY_SHARE,
        )  # fmt: skip
        logger.info("the serving engine starts")
        STARTS.labels("died" if self._starts_again else "asked").inc()
        self._starts_again = False
        self._link = Link(task, own_engine_environment(settings), cache / "serving.log", self._on_lost)
        return self._link

    def _on_lost(self, link: Link) -> None:
        if link is not self._link:
            return
        self._link = None
        self._lost.append(link)
        logger.warning("the serving engine died; its output is in {}", "cache/serving.log")
        if link.is_ready:
            self._starts_again = True
        else:
            self._not_before = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._bell.ring()

    async def _tend(self) -> None:
        while True:
            while self._lost:
                await self._lost.pop().close()
            if self._link is not None and self._link.silence_s > self._settings.serving_silence_s:
                logger.warning("the serving engine hangs; it is killed")
                self._link.kill()
            if self._starts_again:
                self._start()
            elif not self.in_flight and time.monotonic() - self._asked_at > self._settings.serving_idle_s:
                await self._end()
            await self._bell.wait(_LOOK_S)

    async def _end(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            await link.close()
        while self._lost:
            await self._lost.pop().close()
