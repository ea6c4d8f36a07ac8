"""The log over a WebSocket: many topics on one socket."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from pydantic import Field, ValidationError

from services.stream.api.conversation import Conversation
from services.stream.counting import dropped, websockets
from services.stream.dependencies import AfterSeq, TheStream
from services.stream.handoff import socket_of
from services.stream.turnstile import is_foreign
from shared.contracts.base import Int, JsonObject, LogId, WireModel
from shared.contracts.events import MAX_SEQ, Topic, job_topic
from shared.kit.body import parse_json
from shared.kit.error_handlers import validation_fault
from shared.kit.errors import ImtsError, InvalidRequest, Unavailable
from shared.kit.logs import logger

routes = APIRouter(tags=["live"])

_REFUSED, _TRY_AGAIN_LATER = 1008, 1013


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


async def _answer(conversation: Conversation, text: str | None) -> None:
    try:
        request = parse_request(text)
        if request.action == "subscribe":
            await conversation.subscribe(request.topic, request.after)
        else:
            await conversation.unsubscribe(request.topic)
    except Unavailable:
        raise
    except ImtsError as fault:
        await conversation.say("error", error=_error(fault))


async def _listen(socket: WebSocket, conversation: Conversation) -> None:
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        await _answer(conversation, message.get("text"))


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
    connection = socket_of(socket.scope)
    await socket.accept()
    conversation = Conversation(socket, stream)
    websockets.inc()
    try:
        async with asyncio.TaskGroup() as tasks:
            delivery = tasks.create_task(conversation.deliver())
            if job_id is not None:
                await conversation.subscribe(job_topic(job_id), after, alone=True)
            await _listen(socket, conversation)
            delivery.cancel()
    except* WebSocketDisconnect:
        pass
    except* TimeoutError:
        dropped("stalled")
        logger.info("a listener took nothing for {} s and was let go", stream.settings.send_timeout_s)
        if connection is not None:
            connection.abort()
    except* Unavailable:
        dropped("log_unreadable")
        await socket.close(_TRY_AGAIN_LATER, "the log cannot be read right now; resume by seq")
    finally:
        websockets.dec()
        conversation.leave()
