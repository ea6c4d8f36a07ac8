"""The forms rows come in, and how the first row tells which it is."""

from typing import Any

from shared.contracts.datasets import DatasetFormat
from shared.kit.errors import InvalidRequest

QUESTION = ("instruction", "prompt", "question")
ANSWER = ("output", "completion", "response", "answer")
CONVERSATION = ("messages", "conversations")
LABEL = ("label", "kto_tag")
MEDIA = ("images", "videos", "audios")
KNOWN_COLUMNS = frozenset(
    (*QUESTION, *ANSWER, *CONVERSATION, *LABEL, *MEDIA, "image", "text", "system", "history", "tools", "chosen",
     "rejected", "input", "preferred_output", "non_preferred_output")
)  # fmt: skip

_EXPECTED = (
    "instruction/input/output (alpaca), conversations of from/value (sharegpt), messages of role/content (messages), "
    "chosen and rejected beside a prompt (preference), messages and a label (kto), or text (text)"
)


def named_format(name: str) -> DatasetFormat | None:
    """The form a caller asks for; None for `auto`."""
    if name == "auto":
        return None
    try:
        return DatasetFormat(name)
    except ValueError:
        allowed = ", ".join(["auto", *DatasetFormat])
        raise InvalidRequest(f"format: must be one of {allowed}", param="format") from None


def first_of(row: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of `names` that the row has."""
    return next((name for name in names if name in row), None)


def detect_format(row: Any) -> DatasetFormat:
    """The form of a file whose first row this is."""
    found = _form_of(row) if isinstance(row, dict) else None
    if found is None:
        raise InvalidRequest(
            f"row 1: its columns are of no known form; expected {_EXPECTED}", param="file", code="unknown_format"
        )
    return found


def _form_of(row: dict[str, Any]) -> DatasetFormat | None:
    talk, question = first_of(row, CONVERSATION), first_of(row, QUESTION)
    if {"chosen", "rejected"} <= row.keys() or "preferred_output" in row:
        return DatasetFormat.PREFERENCE
    label = first_of(row, LABEL)
    if label and (talk or question) and as_label(row[label]) is not None:
        return DatasetFormat.KTO
    if talk:
        return DatasetFormat.SHAREGPT if _speaks_sharegpt(row[talk], talk) else DatasetFormat.MESSAGES
    if question and first_of(row, ANSWER):
        return DatasetFormat.ALPACA
    return DatasetFormat.TEXT if "text" in row else None


def _speaks_sharegpt(talk: Any, column: str) -> bool:
    if isinstance(talk, list) and talk and isinstance(talk[0], dict):
        return "from" in talk[0]
    return column == "conversations"


def as_label(value: Any) -> bool | None:
    """A KTO label; CSV brings it as text. None when it is not one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return None
