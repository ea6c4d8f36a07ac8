"""Events as the wires carry them: encoded once, shared by every listener."""

import json
import random
from dataclasses import dataclass

from services.stream.log.entries import Record
from shared.contracts.base import JsonObject
from shared.contracts.events import FAREWELL, RESET, STREAM_END


@dataclass(frozen=True, slots=True)
class Frame:
    """One event, encoded; SSE and WebSocket share the bytes of its body."""

    seq: int
    event_type: str
    sse: bytes
    body_at: int
    ends_topic: bool

    @property
    def body(self) -> bytes:
        """The event's JSON."""
        return self.sse[self.body_at : -2]

    def message(self, topic: str) -> str:
        """The event as a WebSocket message: its JSON with `message_type`, `topic` and `event` before it."""
        head = f'{{"message_type":"training_event","topic":"{topic}","event":"{self.event_type}",'
        return head + self.body[1:].decode()


def encode(record: Record) -> Frame:
    """The record's frame."""
    head = f"id: {record.seq}\nevent: {record.event_type}\ndata: ".encode()
    sse = head + record.body.encode() + b"\n\n"
    return Frame(record.seq, record.event_type, sse, len(head), record.ends_topic)


def sse_notice(event: str, data: JsonObject, seq: int | None = None) -> bytes:
    """An SSE event that is not in the log: `reset`, `stream_end`."""
    head = "" if seq is None else f"id: {seq}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode()


HEARTBEAT = b": heartbeat\n"
"""A comment line and no blank line: some clients take a block of nothing but comments for an empty message."""


WELCOME = b": welcome\nretry: 1000\n"
"""No blank line: some clients take a block with nothing but `retry` for an empty message."""


def sse_reset(reason: str, last_seq: int) -> bytes:
    """Said first to who asked for what the log, which ends at `last_seq`, does not have: start over from there."""
    return sse_notice(RESET, {"reason": reason, "last_seq": last_seq}, last_seq)


def sse_farewell(reason: str, last_seq: int, retry_ms: int) -> bytes:
    """Said before the server closes a stream that has not ended: resume after about `retry_ms`, not all at once."""
    retry = random.randint(retry_ms // 2, retry_ms * 2)  # noqa: S311 - spreads load, guards nothing
    return f"retry: {retry}\n".encode() + sse_notice(FAREWELL, {"reason": reason, "last_seq": last_seq})


def sse_end(last_seq: int) -> bytes:
    """Said once after a job's terminal event."""
    return sse_notice(STREAM_END, {"last_seq": last_seq})
