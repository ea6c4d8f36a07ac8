"""Waiting for something to become true, without sleeping longer than it takes."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_POLL_S = 0.02
_BRIEFLY_S = 0.002


def eventually(read: Callable[[], T], is_so: Callable[[T], bool] = bool, within_s: float = 10.0) -> T:
    """Read until `is_so`, and answer what was read; fail with the last reading when it never is."""
    deadline = time.monotonic() + within_s
    while True:
        value = read()
        if is_so(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {within_s} s: {value!r}")
        time.sleep(_POLL_S)


async def become(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    """The same where an event loop has more to do meanwhile."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"still not so after {within_s} s"
        await asyncio.sleep(_BRIEFLY_S)
