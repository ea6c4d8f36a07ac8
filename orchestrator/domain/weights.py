"""What a safetensors header must say to be believed."""

import math
from collections.abc import Mapping
from typing import Any

_BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
    "C64": 64,
}  # fmt: skip


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**60


def _tensor(entry: Any) -> tuple[int, int, int]:
    """Where a tensor begins and ends, and how many numbers it holds."""
    kind = entry.get("dtype") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in _BITS:
        raise ValueError("a tensor's type is not known")
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not isinstance(shape, list) or len(shape) > 16 or not all(map(_is_size, shape)):
        raise ValueError("a tensor's shape is not a list of sizes")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise ValueError("a tensor's place is not a pair of offsets")
    count = math.prod(shape)
    if (offsets[1] - offsets[0]) * 8 != count * _BITS[kind]:
        raise ValueError("a tensor's place does not fit its shape and type")
    return offsets[0], offsets[1], count


def count_parameters(header: Mapping[str, Any], data_bytes: int) -> int:
    """The numbers in a file whose tensors fill `data_bytes` without hole or overlap; ValueError if they do not."""
    tensors = sorted(_tensor(entry) for name, entry in header.items() if name != "__metadata__")
    end = 0
    for begins, ends, _ in tensors:
        if begins != end:
            raise ValueError("tensors overlap or leave a hole")
        end = ends
    if end != data_bytes:
        raise ValueError("the file is shorter or longer than its tensors")
    return sum(count for _, _, count in tensors)
