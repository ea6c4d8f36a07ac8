"""Waiting for something to become true, without sleeping longer than it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_POLL_S = 0.02


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
