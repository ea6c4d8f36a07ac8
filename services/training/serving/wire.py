"""An answer as OpenAI's clients read it: one JSON body, or chunks over SSE."""

import json
import time
from collections.abc import AsyncIterator
from secrets import token_hex

from services.training.serving.link import Conversation
from shared.contracts.base import JsonObject
from shared.contracts.chat import ChatRequest
from shared.contracts.serving import Saying, ServingCall
from shared.kit.errors import InvalidRequest, Unavailable
from shared.kit.flows import EVENTS, Flow

_DONE = b"data: [DONE]\n\n"


def _raise_fault(saying: Saying) -> None:
    if (fault := saying.fault) is not None:
        if fault.kind == "request":
            raise InvalidRequest(fault.message, code=fault.code, param=fault.param)
        raise Unavailable(fault.message, code=fault.code, retry_after_s=1)


async def reply(call: ServingCall, conversation: Conversation) -> Flow:
    """The answer, whole or from its first words on; a fault before them is raised."""
    head: JsonObject = {"id": f"chatcmpl-{token_hex(12)}", "created": int(time.time()), "model": _name_of(call)}
    first = await conversation.next()
    _raise_fault(first)

    async def close() -> None:
        conversation.close()

    if call.request.stream:
        return Flow(EVENTS, _chunks(head, call.request, first, conversation), close)
    while not first.is_last:
        first = await conversation.next()
    _raise_fault(first)
    return Flow("application/json", _whole({**head, "object": "chat.completion"}, first), close)


def _name_of(call: ServingCall) -> str:
    return f"{call.model.name}@{call.model.version}"


async def _whole(head: JsonObject, said: Saying) -> AsyncIterator[bytes]:
    message: JsonObject = {"role": "assistant", "content": said.text, "refusal": None}
    choice: JsonObject = {"index": 0, "message": message, "logprobs": None, "finish_reason": said.finish_reason}
    usage = None if said.usage is None else said.usage.model_dump()
    yield json.dumps({**head, "choices": [choice], "usage": usage}).encode()


async def _chunks(
    head: JsonObject, request: ChatRequest, first: Saying, conversation: Conversation
) -> AsyncIterator[bytes]:
    head = {**head, "object": "chat.completion.chunk"}
    options = request.stream_options
    tells_usage = bool(options and options.include_usage)

    def chunk(choices: list[JsonObject], usage: JsonObject | None = None) -> bytes:
        body: JsonObject = {**head, "choices": list(choices)}
        return _event({**body, "usage": usage} if tells_usage else body)

    def piece(delta: JsonObject, reason: str | None = None) -> bytes:
        return chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])

    yield piece({"role": "assistant", "content": ""})
    said = first
    while True:
        _raise_fault(said)
        if said.text:
            yield piece({"content": said.text})
        if said.is_last:
            break
        said = await conversation.next()
    yield piece({}, said.finish_reason)
    if tells_usage and said.usage is not None:
        yield chunk([], said.usage.model_dump())
    yield _DONE


def _event(body: JsonObject) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()
