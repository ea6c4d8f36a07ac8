"""Conversations as sharegpt and OpenAI write them, turned into alternating messages."""

import json
from typing import Any

from shared.contracts.base import JsonObject
from shared.datasets.faults import RowFault
from shared.datasets.strict_json import decode

_ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant",
    "function_call": "function_call",
    "tool": "tool", "observation": "tool", "function": "tool", "function_response": "tool",
}  # fmt: skip
_ROLE_FIX = "use system, user, assistant or tool (sharegpt: human, gpt, function_call, observation)"


def as_text(value: Any, field: str) -> str:
    """A text that every file and log can carry."""
    if not isinstance(value, str):
        raise RowFault(f"`{field}` must be text")
    if "\x00" in value:
        raise RowFault(f"`{field}` holds a NUL character; remove it")
    return value


def as_list(value: Any, field: str) -> list[Any]:
    """A list, or JSON text of one, as CSV and some Parquet files carry it."""
    found = decode(value) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise RowFault(f"`{field}` must be a list")
    return found


def as_tools(value: Any) -> str:
    """Tool definitions as JSON text."""
    if isinstance(value, str):
        return as_text(value, "tools")
    return json.dumps(as_list(value, "tools"), ensure_ascii=False, allow_nan=False)


def _parts_text(parts: list[Any], field: str) -> str:
    if not all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
        raise RowFault(f"`{field}` holds parts that are not text; images, audio and files are not taken yet")
    return "".join(as_text(part.get("text"), field) for part in parts)


def _calls_text(calls: Any, field: str) -> str:
    """OpenAI's `tool_calls` as the JSON list of name and arguments that chat templates take."""
    found: list[JsonObject] = []
    for call in as_list(calls, field):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RowFault(f"`{field}` must hold objects with a function's name and arguments")
        arguments = function.get("arguments") or {}
        found.append({
            "name": function["name"],
            "arguments": decode(arguments) if isinstance(arguments, str) else arguments,
        })  # fmt: skip
    return json.dumps(found, ensure_ascii=False)


def as_message(value: Any, field: str) -> JsonObject:
    """One turn; a call of a tool is an assistant's turn marked `tool_call`."""
    if not isinstance(value, dict):
        raise RowFault(f"`{field}` must be an object with role and content")
    said = value.get("role", value.get("from"))
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise RowFault(f"`{field}` has no role we know; {_ROLE_FIX}")
    if value.get("weight") not in (None, 1):
        raise RowFault(f"`{field}.weight` other than 1 is not taken; remove the message or the weight")
    content = value.get("content", value.get("value"))
    if value.get("tool_calls"):
        if content:
            raise RowFault(f"`{field}` has both content and tool_calls; make two messages of it")
        role, content = "function_call", _calls_text(value["tool_calls"], f"{field}.tool_calls")
    elif isinstance(content, list):
        content = _parts_text(content, f"{field}.content")
    text = as_text(content, f"{field}.content")
    if role == "function_call":
        return {"role": "assistant", "content": text, "tool_call": True}
    return {"role": role, "content": text}


def as_conversation(value: Any, field: str) -> list[JsonObject]:
    """All turns: an optional system message, then user or tool and assistant in alternation."""
    turns: list[JsonObject] = []
    for index, item in enumerate(as_list(value, field)):
        message = as_message(item, f"{field}[{index}]")
        if message["role"] == "tool" and turns and turns[-1]["role"] == "tool":
            turns[-1] = {"role": "tool", "content": f"{turns[-1]['content']}\n{message['content']}"}
            continue
        turns.append(message)
    if not turns:
        raise RowFault(f"`{field}` has no message")
    _check_order(turns, field)
    return turns


def _check_order(turns: list[JsonObject], field: str) -> None:
    spoken = turns[1:] if turns[0]["role"] == "system" else turns
    for index, turn in enumerate(spoken):
        if turn["role"] == "system":
            raise RowFault(f"`{field}` has a system message that is not its first; merge it into the first")
        if (turn["role"] == "assistant") == (index % 2 == 0):
            raise RowFault(f"`{field}` must alternate: user (or tool), assistant, user …; merge neighbours of one role")
