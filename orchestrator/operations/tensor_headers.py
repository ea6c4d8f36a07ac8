"""Headers of safetensors files: read within bounds, and believed only where they fit the bytes behind them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from orchestrator.domain.weights import count_parameters

MAX_HEADER = 16 << 20


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """What one file holds."""

    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, str]
    """Number formats, as safetensors names them: `F32`, `BF16` …"""
    parameters: int


def read_header(stream: IO[bytes], size: int) -> TensorHeader:
    """The header of a file of `size` bytes; ValueError says what is wrong with it. Blocking."""
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
        raise ValueError("is not a safetensors file, or was cut off")
    header = _parsed(stream.read(length))
    try:
        parameters = count_parameters(header, size - 8 - length)
    except ValueError as fault:
        raise ValueError(f"is damaged: {fault}") from None
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return TensorHeader(
        shapes={name: tuple(entry["shape"]) for name, entry in tensors.items()},
        kinds={name: entry["dtype"] for name, entry in tensors.items()},
        parameters=parameters,
    )


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        header = json.loads(raw.decode(), object_pairs_hook=_once)
    except _NamedTwice:
        raise ValueError("is damaged: its header names something twice") from None
    except (ValueError, RecursionError):
        raise ValueError("is damaged: its header is not JSON") from None
    if not isinstance(header, Mapping):
        raise ValueError("has a header that is not a JSON object")
    return header


class _NamedTwice(Exception):
    """A key that comes twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NamedTwice
    return found
