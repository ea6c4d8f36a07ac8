"""Normalises rows that may carry images: their texts keep `<image>` where each belongs, `images` its hash."""

from typing import Any

from shared.contracts.base import JsonObject
from shared.contracts.datasets import DatasetFormat
from shared.datasets.faults import RowFault
from shared.datasets.formats import CONVERSATION, first_of
from shared.datasets.gallery import Gallery
from shared.datasets.normalise import normalise
from shared.datasets.turns import as_list

IMAGE = "<image>"
"""Where an image stands in a text, as LLaMA-Factory reads it."""
_OTHER_MEDIA = ("<video>", "<audio>")
_COLUMNS = ("images", "image")
_PARTS = frozenset({"image_url", "image", "input_image"})
_PICTURED = frozenset({DatasetFormat.ALPACA, DatasetFormat.SHAREGPT, DatasetFormat.MESSAGES})
_TO_COME = object()
"""A part that says where an image stands, and leaves the image to the row's column."""


def normalise_pictured(row: Any, form: DatasetFormat, gallery: Gallery) -> JsonObject:
    """The normalised row, its images in `gallery`; RowFault says what is wrong with it."""
    if not isinstance(row, dict):
        return normalise(row, form)
    column = next((name for name in _COLUMNS if row.get(name)), None)
    bare, parts = _without_parts({key: value for key, value in row.items() if key not in _COLUMNS})
    found = _images(row, column, parts)
    normalised = normalise(bare, form)
    if not found and not any(name in row for name in _COLUMNS):
        return normalised
    if found and form not in _PICTURED:
        raise RowFault(f"`{found[0][0]}`: images go with answered conversations, not with {form} rows; remove them")
    _check_places(normalised, len(found))
    if found:
        normalised["images"] = [gallery.take(value, field) for field, value in found]
    return normalised


def shows_image_without_one(row: JsonObject) -> bool:
    """Whether a normalised row has `<image>` in its texts and no images."""
    return "images" not in row and any(IMAGE in message["content"] for message in _messages(row))


def _messages(row: dict[str, Any]) -> list[Any]:
    return list(row.get("messages", []))


def _images(row: dict[str, Any], column: str | None, parts: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The row's images in order, each with the field it stands in."""
    own = [(field, value) for field, value in parts if value is not _TO_COME]
    if column is None:
        if len(own) < len(parts):
            raise RowFault("has parts of type image without an image, and no `images` beside the messages")
        return own
    if own:
        raise RowFault(f"has images both in its messages and in `{column}`; keep them in one place")
    value = row[column]
    if column == "image" and not isinstance(value, list):
        return [(column, value)]
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return [(column, value)]
    return [(f"{column}[{index}]", one) for index, one in enumerate(as_list(value, column))]


def _without_parts(row: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """The row with `<image>` for each part of its messages that is an image, and these parts."""
    name = first_of(row, CONVERSATION)
    talk = row[name] if name else None
    if name is None or not isinstance(talk, (list, str)):
        return row, []
    turns: list[Any] = []
    parts: list[tuple[str, Any]] = []
    for index, turn in enumerate(as_list(talk, name)):
        content = turn.get("content") if isinstance(turn, dict) else None
        if isinstance(content, list):
            texts = [_text_of(part, f"{name}[{index}].content[{place}]", parts) for place, part in enumerate(content)]
            turn = {**turn, "content": texts}
        turns.append(turn)
    return {**row, name: turns}, parts


def _text_of(part: Any, field: str, parts: list[tuple[str, Any]]) -> Any:
    """The part, or the text that stands for it when it is an image."""
    if not isinstance(part, dict) or part.get("type") not in _PARTS:
        return part
    value = part.get("image_url", part.get("image", _TO_COME))
    parts.append((field, _TO_COME if value is None else value))
    return {"type": "text", "text": IMAGE}


def _check_places(row: dict[str, Any], images: int) -> None:
    """Refuse rows whose texts do not say where the images belong, or say what no model could be shown."""
    messages = _messages(row)
    places = sum(message["content"].count(IMAGE) for message in messages)
    if places != images:
        raise RowFault(
            f"has {images} images and {places} times {IMAGE} in its messages; write {IMAGE} once where each belongs"
        )
    for message in messages if images else []:
        if IMAGE in message["content"] and message["role"] not in {"user", "tool"}:
            raise RowFault(f"shows an image in the {message['role']}'s message; show it in the user's")
        if any(mark in message["content"] for mark in _OTHER_MEDIA):
            raise RowFault("holds <video> or <audio>, which would be read as one; write it otherwise")
