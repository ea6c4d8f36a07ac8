"""JSON of one row, read strictly: UTF-8, no duplicate keys, no NaN, bounded numbers and nesting."""

import json
from typing import Any, NoReturn

from shared.datasets.faults import RowFault


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RowFault("the same key stands twice in one object; keep one of them")
    return found


def _no_constant(_: str) -> NoReturn:
    raise RowFault("NaN and Infinity are not JSON; use a number or null")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def syntax_fault(fault: ValueError) -> RowFault:
    """What the JSON reader found, without the text it found it in."""
    if isinstance(fault, json.JSONDecodeError):
        return RowFault(f"not valid JSON ({fault.msg.removesuffix(' at')}, character {fault.pos + 1} of the row)")
    return RowFault("holds a number with too many digits")


def decode(text: str) -> Any:
    """The value that `text` is."""
    try:
        return DECODER.decode(text)
    except RecursionError:
        raise RowFault("is nested too deeply") from None
    except ValueError as fault:
        raise syntax_fault(fault) from None
