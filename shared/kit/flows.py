"""Answers that are passed on while they are made."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Flow:
    """An answer that began well; `close` must be called, whatever happens."""

    media_type: str
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
