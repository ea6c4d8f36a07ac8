"""The log as server-sent events; the door to sse-starlette."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import Header
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from services.stream.api.resume import Start, find_start, parse_last_event_id
from services.stream.dependencies import AfterSeq, JobQuery, TheStream, TopicPath
from services.stream.frames import sse_end, sse_notice
from services.stream.wiring import Stream
from shared.contracts.events import job_topic
from shared.kit.application import api_router
from shared.kit.errors import Unavailable
from shared.kit.logs import logger

routes = api_router(tag="live")

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Wins over `after`")]
_WELCOME = b": welcome\n"
_RETRY = b"retry: 1000\n"
"""Part of the first event: some clients take a block with nothing but `retry` for an empty message."""


class EventStream(EventSourceResponse):
    """An endless response that lets go of a listener who takes nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.info("a listener took nothing for {} s and was let go", self.send_timeout)


class Heartbeat(ServerSentEvent):
    """A comment line and no blank line: some clients take a block of nothing but comments for an empty message."""

    def encode(self) -> bytes:
        return b": heartbeat\n"


async def chunks(stream: Stream, start: Start) -> AsyncIterator[bytes]:
    """What one listener is sent: ready bytes, several events a chunk, through the job's end."""
    yield _WELCOME
    first = _RETRY
    try:
        async with aclosing(_events(stream, start)) as events:
            async for chunk in events:
                yield first + chunk
                first = b""
    except Unavailable:
        logger.warning("a stream of {} is cut: the log cannot be read; its listener resumes", start.topic)


async def _events(stream: Stream, start: Start) -> AsyncGenerator[bytes]:
    if start.was_ahead:
        yield sse_notice("reset", {"reason": "ahead_of_log", "last_seq": start.last_seq}, start.last_seq)
    last_seq = start.after
    if not start.is_over:
        async with stream.fanout.subscribe(start.topic, start.after) as subscription:
            async for frames in subscription.runs():
                yield b"".join([frame.sse for frame in frames])
                last_seq = subscription.cursor
    yield sse_end(last_seq)


async def _respond(stream: Stream, topic: str, last_event_id: str | None, after: int) -> EventStream:
    start = await find_start(stream, topic, parse_last_event_id(last_event_id, after))
    settings = stream.settings
    return EventStream(
        chunks(stream, start), sep="\n", ping=settings.heartbeat_s, ping_message_factory=Heartbeat,
        send_timeout=settings.send_timeout_s,
    )  # fmt: skip


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
