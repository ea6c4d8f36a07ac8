"""The log as server-sent events; the door to sse-starlette."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Annotated

from fastapi import Header
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from services.stream.api.resume import Start, find_start, parse_last_event_id
from services.stream.dependencies import AfterSeq, JobQuery, TheStream, TopicPath
from services.stream.frames import HEARTBEAT, Frame, sse_end, sse_farewell, sse_notice
from services.stream.handoff import HandoffProtocol, exchange_of
from services.stream.wiring import Stream
from shared.contracts.events import job_topic
from shared.kit.application import api_router
from shared.kit.errors import Unavailable
from shared.kit.logs import logger

routes = api_router(tag="live")

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Wins over `after`")]
_WELCOME = b": welcome\nretry: 1000\n"
"""No blank line: some clients take a block with nothing but `retry` for an empty message."""
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
_NEVER_S = 10**9
"""The pings of sse-starlette could fall into the middle of an event."""
_PIECE = 16 * 1024


class EventStream(EventSourceResponse):
    """An endless response: gives its socket to the hub, or goes through ASGI where the server does not allow that."""

    def __init__(self, stream: Stream, start: Start, status_code: int = 200) -> None:
        timeout = stream.settings.send_timeout_s
        super().__init__(chunks(stream, start), status_code, sep="\n", ping=_NEVER_S, send_timeout=timeout)
        self._hub = stream.hub
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope) if self._hub.is_open and not self._start.is_over else None
        if exchange is not None:
            await self._hand_over(exchange, send)
            return
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.info("a listener took nothing for {} s and was let go", self.send_timeout)

    async def _hand_over(self, exchange: HandoffProtocol, send: Send) -> None:
        listener = await self._hub.join(self._start.topic, self._start.after)
        is_taken = False
        try:
            is_taken = await exchange.hand_over(send, _HEADERS, listener)
        finally:
            if not is_taken:
                self._hub.leave(listener)
        if is_taken:
            listener.begin(_WELCOME + _reset(self._start))


def _reset(start: Start) -> bytes:
    if not start.was_ahead:
        return b""
    return sse_notice("reset", {"reason": "ahead_of_log", "last_seq": start.last_seq}, start.last_seq)


async def chunks(stream: Stream, start: Start) -> AsyncIterator[bytes]:
    """What one listener is sent through ASGI: ready bytes, several events a chunk, through the job's end."""
    yield _WELCOME + _reset(start)
    try:
        async with aclosing(_events(stream, start)) as events:
            async for chunk in events:
                yield chunk
    except Unavailable:
        logger.warning("a stream of {} is cut: the log cannot be read; its listener resumes", start.topic)


async def _events(stream: Stream, start: Start) -> AsyncGenerator[bytes]:
    if start.is_over:
        yield sse_end(start.after)
        return
    settings = stream.settings
    ends_at = time.monotonic() + settings.max_life_s * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load
    async with stream.fanout.subscribe(start.topic, start.after) as subscription:
        while time.monotonic() < ends_at:
            try:
                async with asyncio.timeout(settings.heartbeat_s):
                    frames = await subscription.next()
            except TimeoutError:
                yield HEARTBEAT
                continue
            for frame in pieces(frames):
                yield frame
            if frames[-1].ends_topic:
                yield sse_end(subscription.cursor)
                return
        retry = settings.farewell_retry_ms
        yield sse_farewell("life_cap", subscription.cursor, random.randint(retry // 2, retry * 2))  # noqa: S311


def pieces(frames: Sequence[Frame]) -> Iterator[bytes]:
    """The frames' bytes, none of the pieces larger than what may wait for a slow reader."""
    joined = b"".join([frame.sse for frame in frames])
    return (joined[at : at + _PIECE] for at in range(0, len(joined), _PIECE))


async def _respond(stream: Stream, topic: str, last_event_id: str | None, after: int) -> EventStream:
    return EventStream(stream, await find_start(stream, topic, parse_last_event_id(last_event_id, after)))


@routes.get("/api/stream/metrics", response_class=EventStream)
async def follow_job(
    job_id: JobQuery, stream: TheStream, after: AfterSeq = 0, last_event_id: LastEventId = None
) -> EventStream:
    """Everything that happens to a job, from `after` on: `id` is the seq, `event` the type; `stream_end` closes.

    A job that has no event yet is waited for. Who asks beyond the log gets `reset` with the log's `last_seq` and
    goes on from there.
    """
    return await _respond(stream, job_topic(job_id), last_event_id, after)


@routes.get("/v1/topics/{topic}/stream", response_class=EventStream)
async def follow_topic(
    topic: TopicPath, stream: TheStream, after: AfterSeq = 0, last_event_id: LastEventId = None
) -> EventStream:
    """The same for any topic."""
    return await _respond(stream, topic, last_event_id, after)
