"""A cursor over a journal: what the log does not have yet, read a bounded amount at a time."""

from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from imts.tracking.lines import note
from shared.contracts.events import LOG, MAX_BATCH, RUN_FINISHED, NewEvent

_READ_BYTES = 1 << 20
_BATCH_BYTES = 512 * 1024


def _placeholder(message: str) -> NewEvent:
    return NewEvent.model_validate({"event_type": LOG, "timestamp": datetime.now(UTC), "data": note(message)})


def _parse(line: bytes) -> NewEvent:
    try:
        return NewEvent.model_validate_json(line)
    except ValidationError:
        return _placeholder("an event could not be read from its journal")


class Unsent:
    """An event's number is its line, and only whole lines are events."""

    def __init__(self, path: Path, acknowledged: int = 0) -> None:
        self._path = path
        self._pending: deque[tuple[NewEvent, int]] = deque()
        self._offset = 0
        self._read_through = 0
        self.acknowledged = acknowledged
        """Number of the last event that the log has."""
        self.is_over = False
        """Whether the newest line that was read ends the run."""

    def batch(self) -> list[NewEvent]:
        """The next events, the first of them number `acknowledged + 1`; none when the log has everything."""
        while not self._pending and self._fill():
            pass
        events: list[NewEvent] = []
        size = 0
        for event, length in self._pending:
            size += length
            if len(events) >= MAX_BATCH or (events and size > _BATCH_BYTES):
                break
            events.append(event)
        return events

    def _fill(self) -> bool:
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            chunk = stream.read(_READ_BYTES)
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = whole.splitlines()
        for line in lines:
            self._read_through += 1
            if self._read_through > self.acknowledged:
                self._pending.append((_parse(line), len(line)))
        if lines:
            self.is_over = _parse(lines[-1]).event_type == RUN_FINISHED
        return bool(lines)

    def acknowledge(self, through: int) -> None:
        """The log has everything up to `through`; less than before (a restored log) reads the journal again."""
        if through < self.acknowledged:
            self._pending.clear()
            self._offset = self._read_through = 0
        else:
            for _ in range(min(through - self.acknowledged, len(self._pending))):
                self._pending.popleft()
        self.acknowledged = through

    def replace(self, place: int, why: str) -> bool:
        """Put a note where the log refuses an event, so that no number is missing; False when it refuses that too."""
        was_replaced = self._pending[place][1] == 0
        self._pending[place] = (_placeholder(f"an event was refused: {why}"), 0)
        return not was_replaced
