"""The log as server-sent events; the door to sse-starlette."""

from typing import Annotated

from fastapi import Header
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.stream.api.resume import find_start, parse_last_event_id
from services.stream.asgi import AsgiListener
from services.stream.counting import dropped
from services.stream.dependencies import AfterSeq, JobQuery, TheStream, TopicPath
from services.stream.frames import WELCOME, sse_end, sse_reset
from services.stream.handoff import HandoffProtocol, exchange_of
from services.stream.wiring import Stream
from shared.contracts.events import job_topic
from shared.kit.application import api_router
from shared.kit.logs import logger

routes = api_router(tag="live")

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Wins over `after`")]
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    *((name.encode(), value.encode()) for name, value in _HEADERS.items()),
]
_NEVER_S = 10**9
"""The pings of sse-starlette could fall into the middle of an event."""
_GRACE_S = 1.0
"""For farewells, when the server stops."""


class EventStream(Response):
    """An endless answer: gives its socket to the hub, or goes through ASGI where the server does not allow that."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, topic: str, after: int, first_words: bytes, status_code: int = 200) -> None:
        super().__init__(None, status_code)
        self.raw_headers = list(_HEAD)
        self._stream = stream
        self._topic = topic
        self._after = after
        self._first_words = first_words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        if exchange is not None and self._stream.hub.is_open and exchange.can_hand_over:
            await self._hand_over(exchange, send)
        else:
            await self._through_asgi(exchange, scope, receive, send)

    async def _hand_over(self, exchange: HandoffProtocol, send: Send) -> None:
        hub = self._stream.hub
        listener = await hub.join(self._topic, self._after)
        is_taken = False
        try:
            is_taken = await exchange.hand_over(send, self.raw_headers, listener)
        finally:
            if not is_taken:
                hub.leave(listener)
        if is_taken:
            listener.begin(self._first_words)

    async def _through_asgi(self, exchange: HandoffProtocol | None, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._stream.settings
        listener = AsgiListener(self._stream.fanout, settings, self._topic, self._after, self._first_words)
        if exchange is not None:
            exchange.on_shutdown = listener.stop
        response = EventSourceResponse(
            listener.pieces(), headers=_HEADERS, sep="\n", ping=_NEVER_S, send_timeout=settings.send_timeout_s,
            shutdown_grace_period=_GRACE_S,
        )  # fmt: skip
        try:
            await response(scope, receive, send)
        except SendTimeoutError:
            dropped("stalled")
            logger.info("a listener took nothing for {} s and was let go", settings.send_timeout_s)
            if exchange is not None:
                exchange.abort()


async def respond(stream: Stream, topic: str, last_event_id: str | None, after: int) -> Response:
    """The stream of `topic` from `Last-Event-ID`, else from `after`; a finished one is answered whole."""
    start = await find_start(stream, topic, parse_last_event_id(last_event_id, after))
    first_words = WELCOME + (sse_reset(start.reset, start.last_seq) if start.reset else b"")
    if start.is_over:
        return Response(first_words + sse_end(start.after), headers=_HEADERS, media_type=EventStream.media_type)
    return EventStream(stream, topic, start.after, first_words)


@routes.get("/api/stream/metrics", response_class=EventStream)
async def follow_job(
    job_id: JobQuery, stream: TheStream, after: AfterSeq = 0, last_event_id: LastEventId = None
) -> Response:
    """Everything that happens to a job, from `after` on: `id` is the seq, `event` the type; `stream_end` closes.

    A job that has no event yet is waited for. Who asks beyond the log gets `reset` with the log's `last_seq` and
    goes on from there; a log that was deleted says `reset` and ends, a thinned one begins with `compacted`.
    """
    return await respond(stream, job_topic(job_id), last_event_id, after)


@routes.get("/v1/topics/{topic}/stream", response_class=EventStream)
async def follow_topic(
    topic: TopicPath, stream: TheStream, after: AfterSeq = 0, last_event_id: LastEventId = None
) -> Response:
    """The same for any topic."""
    return await respond(stream, topic, last_event_id, after)
