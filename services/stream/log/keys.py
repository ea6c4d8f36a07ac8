"""Figures by their dotted names: `advanced_metrics.gradient_norm` lies inside an object, or is a name with a dot."""

import re
from collections.abc import Iterator, Sequence

from shared.contracts.base import JsonObject
from shared.contracts.curves import MAX_KEYS
from shared.kit.errors import InvalidRequest

MAX_KEY = 128
_MAX_DEPTH = 4
_SEGMENT = re.compile(r'[^."\\,\x00-\x1f\x7f\ud800-\udfff]+')
"""No quote and no backslash: a name goes into a JSON path as it is."""


def parse_keys(given: Sequence[str]) -> tuple[str, ...]:
    """Names from `keys=a,b` and `keys=a&keys=b`, each once; InvalidRequest when one is no name or they are too many."""
    keys = tuple(dict.fromkeys(name.strip() for text in given for name in text.split(",")))
    if len(keys) > MAX_KEYS:
        raise InvalidRequest(f"keys must be {MAX_KEYS} names at most; ask again for the rest", param="keys")
    if not all(is_key(key) for key in keys):
        raise InvalidRequest(
            f"keys must be names of figures such as `train_loss` or `advanced_metrics.gradient_norm`, {MAX_KEY} "
            "characters at most, without quotes", param="keys",
        )  # fmt: skip
    return keys


def is_key(name: str) -> bool:
    """Whether a figure can be asked for by this name."""
    segments = name.split(".")
    return len(name) <= MAX_KEY and len(segments) <= _MAX_DEPTH and all(map(_SEGMENT.fullmatch, segments))


def json_paths(key: str) -> tuple[str, ...]:
    """Where a database looks for the figure, the first place that has it counts."""
    inside = "$" + "".join(f'."{segment}"' for segment in key.split("."))
    return (inside, f'$."{key}"') if "." in key else (inside,)


def pick(data: JsonObject, keys: Sequence[str]) -> JsonObject:
    """`data` cut down to `keys`, nested as it was; what is not there is left out."""
    picked: JsonObject = {}
    for key in keys:
        path = key.split(".")
        if _put(picked, data, path) or key not in data:
            continue
        picked[key] = data[key]
    return picked


def _put(target: JsonObject, source: JsonObject, path: Sequence[str]) -> bool:
    name, *rest = path
    if name not in source:
        return False
    value = source[name]
    if not rest:
        target[name] = value
        return True
    inner = target.get(name, {})
    if not isinstance(value, dict) or not isinstance(inner, dict) or not _put(inner, value, rest):
        return False
    target[name] = inner
    return True


def numbers(data: JsonObject) -> dict[str, int | float]:
    """Every figure in `data` that can be drawn, by its dotted name; where two have one name, the one inside counts."""
    leaves = {path: value for path, value in _leaves(data, ()) if is_key(".".join(path))}
    flat = {path[0]: value for path, value in leaves.items() if len(path) == 1}
    return flat | {".".join(path): value for path, value in leaves.items() if not any("." in name for name in path)}


def _leaves(data: JsonObject, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int | float]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*before, name))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*before, name), value
