"""The log over a WebSocket: many topics on one socket."""

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from pydantic import Field, ValidationError

from services.stream.api.resume import find_start
from services.stream.dependencies import AfterSeq, TheStream
from services.stream.turnstile import is_foreign
from services.stream.wiring import Stream
from shared.contracts.base import Int, JsonObject, LogId, WireModel
from shared.contracts.events import MAX_SEQ, STREAM_END, Topic, job_topic
from shared.kit.application import principal_of
from shared.kit.body import parse_json
from shared.kit.error_handlers import validation_fault
from shared.kit.errors import Forbidden, ImtsError, InvalidRequest, RateLimited, Unavailable

routes = APIRouter(tags=["live"])

MAX_TOPICS = 64
_NORMAL, _REFUSED, _TRY_AGAIN_LATER = 1000, 1008, 1013


class Request(WireModel):
    """What a client says."""

    action: Literal["subscribe", "unsubscribe"]
    topic: Topic
    after: Annotated[Int, Field(ge=0, le=MAX_SEQ)] = 0


def parse_request(text: str | None) -> Request:
    """Read one message; InvalidRequest names the fault without echoing it."""
    if text is None:
        raise InvalidRequest("send JSON as a text message")
    try:
        return Request.model_validate(parse_json(text.encode("utf-8", "surrogatepass")))
    except ValidationError as fault:
        raise validation_fault(fault.errors()) from None


class Conversation:
    """One socket: requests come in, each followed topic has a task that sends."""

    def __init__(self, socket: WebSocket, stream: Stream, tasks: asyncio.TaskGroup) -> None:
        self._socket = socket
        self._stream = stream
        self._tasks = tasks
        self._only_topic = principal_of(socket).only_topic
        self._turn = asyncio.Lock()
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._closes_when_done = False

    async def _send(self, text: str) -> None:
        async with self._turn, asyncio.timeout(self._stream.settings.send_timeout_s):
            await self._socket.send_text(text)

    async def _say(self, message_type: str, **values: Any) -> None:
        await self._send(json.dumps({"message_type": message_type, **values}))

    def subscribe(self, topic: str, after: int, *, alone: bool = False) -> None:
        """Follow `topic`; a second subscription to it starts over. `alone`: the socket closes when it has ended."""
        if self._only_topic not in {None, topic}:
            raise Forbidden("your ticket is for another topic", param="topic")
        if topic not in self._followed and len(self._followed) >= MAX_TOPICS:
            raise RateLimited(f"a socket follows {MAX_TOPICS} topics at most; unsubscribe one or open another")
        self.unsubscribe(topic)
        self._closes_when_done = alone
        self._followed[topic] = self._tasks.create_task(self._follow(topic, after))

    def unsubscribe(self, topic: str) -> None:
        """Follow `topic` no longer."""
        if task := self._followed.pop(topic, None):
            task.cancel()

    async def _follow(self, topic: str, after: int) -> None:
        start = await find_start(self._stream, topic, after)
        if start.was_ahead:
            await self._say("reset", topic=topic, reason="ahead_of_log", last_seq=start.last_seq)
        await self._say("subscribed", topic=topic, after=start.after, last_seq=start.last_seq)
        last_seq = start.after
        if not start.is_over:
            async with self._stream.fanout.subscribe(topic, start.after) as subscription:
                async for frames in subscription.runs():
                    for frame in frames:
                        await self._send(frame.message(topic))
                last_seq = subscription.cursor
        await self._say(STREAM_END, topic=topic, last_seq=last_seq)
        self._followed.pop(topic, None)
        if self._closes_when_done and not self._followed:
            await self._socket.close(_NORMAL)

    async def listen(self) -> None:
        """Serve requests until the client goes."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            try:
                request = parse_request(message.get("text"))
                if request.action == "subscribe":
                    self.subscribe(request.topic, request.after)
                else:
                    self.unsubscribe(request.topic)
                    await self._say("unsubscribed", topic=request.topic)
            except ImtsError as fault:
                await self._say("error", error=_error(fault))
        for task in self._followed.values():
            task.cancel()


def _error(fault: ImtsError) -> JsonObject:
    return {"type": fault.type, "code": fault.code, "message": fault.message, "param": fault.param}


@routes.websocket("/ws/metrics")
async def converse(
    socket: WebSocket, stream: TheStream, job_id: Annotated[LogId | None, Query()] = None, after: AfterSeq = 0
) -> None:
    """Events of `job_id`, if given, and of every topic the client then subscribes to."""
    if is_foreign(socket):
        await socket.close(_REFUSED, "this page is of another origin")
        return
    await socket.accept()
    try:
        async with asyncio.TaskGroup() as tasks:
            conversation = Conversation(socket, stream, tasks)
            if job_id is not None:
                conversation.subscribe(job_topic(job_id), after, alone=True)
            await conversation.listen()
    except* (WebSocketDisconnect, TimeoutError):
        pass
    except* Unavailable:
        await socket.close(_TRY_AGAIN_LATER, "the log cannot be read right now; resume by seq")
