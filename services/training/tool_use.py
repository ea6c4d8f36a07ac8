"""Checks tool definitions and tool calls, which LLaMA-Factory takes on trust: one bad row would end the training."""

import json
import re
from typing import Any

_NO_PARAMETERS = {"type": "object", "properties": {}}
_MARKUP = re.compile(r"<(think|tool_call)>")
"""Calls that bring their own markup are left to the chat template."""


class ToolFault(ValueError):
    """A definition or call that no chat template can render."""


def complete_tools(text: str) -> str:
    """Tool definitions as JSON, each with a name and with parameters, empty ones where there were none."""
    return json.dumps([_completed(tool) for tool in _loaded(text, "tool definitions are")], ensure_ascii=False)


def check_call(text: str) -> None:
    """ToolFault unless the text is a call, or a list of calls, with name and arguments."""
    if _MARKUP.search(text):
        return
    for call in _loaded(text, "a tool call is"):
        if not isinstance(call.get("name"), str) or "arguments" not in call:
            raise ToolFault("a tool call has no name or no arguments")


def _loaded(text: str, what: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        raise ToolFault(f"{what} not JSON") from None
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(item, dict) for item in listed):
        raise ToolFault(f"{what} not an object")
    return listed


def _completed(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function") if tool.get("type") == "function" else tool
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ToolFault("a tool definition has no name")
    parameters = function.get("parameters") or _NO_PARAMETERS
    properties = parameters.get("properties", {}) if isinstance(parameters, dict) else None
    if not isinstance(properties, dict) or not all(isinstance(value, dict) for value in properties.values()):
        raise ToolFault("a tool definition has unreadable parameters")
    return {**function, "parameters": {**parameters, "properties": properties}}
