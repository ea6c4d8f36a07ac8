"""Where a listener goes on: `Last-Event-ID` before `after`, and never beyond the log."""

from dataclasses import dataclass

from services.stream.wiring import Stream
from shared.contracts.events import MAX_SEQ
from shared.kit.errors import MalformedRequest
from shared.kit.tasks import in_thread


def parse_last_event_id(value: str | None, otherwise: int) -> int:
    """The header's number; `otherwise` when it is absent or empty, as browsers send it before the first event."""
    if not value:
        return otherwise
    if not (value.isascii() and value.isdigit() and len(value) <= 16 and int(value) <= MAX_SEQ):
        raise MalformedRequest("Last-Event-ID must be the number of an event", param="Last-Event-ID")
    return int(value)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a listener begins."""

    topic: str
    after: int
    last_seq: int
    reset: str | None
    """Why it is told to start over: `ahead_of_log` (another log, or one restored from a backup) or `deleted`."""
    is_over: bool
    """The topic has ended and the listener has seen all of it."""


async def find_start(stream: Stream, topic: str, wanted: int) -> Start:
    """Compare the listener's wish with the log."""
    # Known without asking the log: there is more for this listener, so it is neither ahead nor at the end.
    if wanted < (reach := stream.fanout.reach(topic)):
        return Start(topic, wanted, reach, reset=None, is_over=False)
    position = await in_thread(stream.reader.position, topic)
    if position.is_deleted:
        return Start(topic, 0, 0, reset="deleted", is_over=True)
    stream.fanout.advance(topic, position.last_seq)
    after = min(wanted, position.last_seq)
    reset = "ahead_of_log" if wanted > position.last_seq else None
    return Start(topic, after, position.last_seq, reset, position.is_ended and after >= position.last_seq)
