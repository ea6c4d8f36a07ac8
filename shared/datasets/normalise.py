"""Turns a row of any form into the one form services read; refuses what cannot be trained on.

`{"messages": […]}` for conversations, with `chosen` and `rejected` for preference, `label` for KTO, or `{"text": …}`;
`tools` stays when it was there.
"""

from collections.abc import Callable
from typing import Any

from shared.contracts.base import JsonObject
from shared.contracts.datasets import DatasetFormat
from shared.datasets.faults import RowFault
from shared.datasets.formats import ANSWER, CONVERSATION, LABEL, MEDIA, QUESTION, as_label, first_of
from shared.datasets.strict_json import decode
from shared.datasets.turns import as_conversation, as_list, as_message, as_text, as_tools

Raw = dict[str, Any]


def normalise(row: Any, form: DatasetFormat) -> JsonObject:
    """The normalised row; RowFault says what is wrong with it."""
    if not isinstance(row, dict):
        raise RowFault("is not an object with named columns")
    for column in (*MEDIA, "image"):
        if row.get(column):
            raise RowFault(f"`{column}` is not taken yet: paths and URLs of media are refused; remove the column")
    normalised = _FORMS[form](row)
    if row.get("tools"):
        normalised["tools"] = as_tools(row["tools"])
    return normalised


def _required(row: Raw, names: tuple[str, ...]) -> tuple[str, Any]:
    found = first_of(row, names)
    if found is None:
        raise RowFault(f"`{names[0]}` is missing")
    return found, row[found]


def _system(row: Raw) -> list[JsonObject]:
    return [{"role": "system", "content": as_text(row["system"], "system")}] if row.get("system") else []


def _question(row: Raw) -> list[JsonObject]:
    """The prompt of an alpaca-like row: system, history, instruction and input."""
    turns = _system(row)
    for index, pair in enumerate(as_list(row["history"], "history") if row.get("history") else []):
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowFault(f"`history[{index}]` must be a pair of texts")
        turns.append({"role": "user", "content": as_text(pair[0], "history")})
        turns.append({"role": "assistant", "content": as_text(pair[1], "history")})
    name, instruction = _required(row, QUESTION)
    asked = as_text(instruction, name)
    given = as_text(row["input"], "input") if row.get("input") else ""
    turns.append({"role": "user", "content": f"{asked}\n{given}" if asked and given else asked or given})
    return turns


def _alpaca(row: Raw) -> JsonObject:
    turns = _question(row)
    name, answer = _required(row, ANSWER)
    return {"messages": [*turns, {"role": "assistant", "content": as_text(answer, name)}]}


def _talk(row: Raw) -> list[JsonObject]:
    name, value = _required(row, CONVERSATION)
    turns = as_conversation(value, name)
    if row.get("system"):
        if turns[0]["role"] == "system":
            raise RowFault("has a system column and a system message; keep one of them")
        turns = [*_system(row), *turns]
    return turns


def _answered(row: Raw) -> JsonObject:
    turns = _talk(row)
    if turns[-1]["role"] != "assistant":
        raise RowFault("ends without an answer; the last message must be the assistant's")
    return {"messages": list(turns)}


def _asked(row: Raw) -> list[JsonObject]:
    """The prompt of a preference row, however it is written."""
    if isinstance(row.get("input"), dict):
        return as_conversation(row["input"].get("messages"), "input.messages")
    if first_of(row, CONVERSATION):
        return _talk(row)
    if isinstance(row.get("prompt"), list):
        return as_conversation(row["prompt"], "prompt")
    return _question(row)


def _reply(row: Raw, *names: str) -> JsonObject:
    name, value = _required(row, names)
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        value = _parsed_or_text(value)
    if isinstance(value, list):
        if len(value) != 1:
            raise RowFault(f"`{name}` must be one answer; put what came before it into the prompt")
        value = value[0]
    message: JsonObject = (
        {"role": "assistant", "content": as_text(value, name)} if isinstance(value, str) else as_message(value, name)
    )
    if message["role"] != "assistant":
        raise RowFault(f"`{name}` must be the assistant's")
    return message


def _parsed_or_text(value: str) -> Any:
    """CSV carries a message as JSON text; an answer that merely looks like JSON stays text."""
    try:
        found = decode(value)
    except RowFault:
        return value
    one = found[0] if isinstance(found, list) and found else found
    return found if isinstance(one, dict) and one.keys() & {"role", "from"} else value


def _preference(row: Raw) -> JsonObject:
    turns = _asked(row)
    if turns[-1]["role"] == "assistant":
        raise RowFault("has a prompt that ends with an answer; end it with the user's message")
    chosen = _reply(row, "chosen", "preferred_output")
    return {"messages": list(turns), "chosen": chosen, "rejected": _reply(row, "rejected", "non_preferred_output")}


def _kto(row: Raw) -> JsonObject:
    normalised = _answered(row) if first_of(row, CONVERSATION) else _alpaca(row)
    name, value = _required(row, LABEL)
    label = as_label(value)
    if label is None:
        raise RowFault(f"`{name}` must be true or false")
    return {**normalised, "label": label}


def _text(row: Raw) -> JsonObject:
    return {"text": as_text(_required(row, ("text",))[1], "text")}


_FORMS: dict[DatasetFormat, Callable[[Raw], JsonObject]] = {
    DatasetFormat.ALPACA: _alpaca,
    DatasetFormat.SHAREGPT: _answered,
    DatasetFormat.MESSAGES: _answered,
    DatasetFormat.PREFERENCE: _preference,
    DatasetFormat.KTO: _kto,
    DatasetFormat.TEXT: _text,
}
