"""Reading one attempt's events as they are written, and what they say about its progress."""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from shared.contracts.base import Int, JsonObject
from shared.contracts.events import LOG, MAX_BATCH, METRICS_UPDATE, PROGRESS, NewEvent
from shared.contracts.work import Progress
from shared.worker.folder import AttemptFolder

_READ_BYTES = 1 << 20
_BATCH_BYTES = 160 * 1024
"""Fits into the stream's body limit with room for what JSON escapes."""
_OWN_FIELDS = frozenset({"step", "total_steps", "epoch"})


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def advanced(before: Progress, event_type: str, data: Mapping[str, Any]) -> Progress:
    """Progress after one more event."""
    if event_type == PROGRESS:
        done, total = _number(data.get("done")), _number(data.get("total"))
        if done is None or not total:
            return before
        return before.model_copy(
            update={"step": int(done), "total_steps": int(total), "fraction": min(1.0, done / total)}
        )
    if event_type != METRICS_UPDATE:
        return before
    step, total_steps = _number(data.get("step")), _number(data.get("total_steps"))
    figures = {name: value for name, value in data.items() if name not in _OWN_FIELDS}
    return Progress(
        step=before.step if step is None else int(step),
        total_steps=before.total_steps if total_steps is None else int(total_steps),
        epoch=_number(data.get("epoch", before.epoch)),
        fraction=min(1.0, step / total_steps) if step is not None and total_steps else before.fraction,
        metrics={**before.metrics, **figures},
    )


class _Line(NewEvent):
    """An event as its engine wrote it."""

    seq: Int


class Tail:
    """A cursor over an events file: an event's number is its line, and only whole lines are events."""

    def __init__(self, folder: AttemptFolder) -> None:
        self.folder = folder
        self.progress = Progress()
        self._pending: deque[tuple[NewEvent, int]] = deque()
        self._offset = 0
        self._read_through = 0
        self.acknowledged = 0
        """Number of the last event that the stream has."""

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._offset

    @property
    def waiting_since(self) -> datetime | None:
        """When the oldest event was written that the stream does not have; None when it has all that was read."""
        return self._pending[0][0].timestamp if self._pending else None

    def fill(self) -> None:
        """Read what was written since the last look, a bounded amount at a time."""
        if len(self._pending) >= MAX_BATCH or not self.folder.events.exists():
            return
        with self.folder.events.open("rb") as stream:
            stream.seek(self._offset)
            chunk = stream.read(_READ_BYTES)
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        self._read_through += 1
        event = self._read(line)
        self.progress = advanced(self.progress, event.event_type, event.data)
        if self._read_through > self.acknowledged:
            self._pending.append((event, len(line)))

    def _read(self, line: bytes) -> NewEvent:
        number = self.folder.number
        try:
            # pydantic's own JSON reader refuses what the log could not carry, lone surrogates among it.
            return _Line.model_validate_json(line).model_copy(update={"attempt": number})
        except ValidationError:
            return replacement(number, self._read_through)

    def batch(self, most: int = MAX_BATCH) -> list[NewEvent]:
        """The next events to send; the first of them is number `acknowledged + 1`."""
        events: list[NewEvent] = []
        size = 0
        for event, length in self._pending:
            size += length
            if len(events) >= most or (events and size > _BATCH_BYTES):
                break
            events.append(event)
        return events

    def acknowledge(self, through: int) -> None:
        """The stream has everything up to `through`; a smaller number than before reads the file again."""
        if through < self.acknowledged:
            self._pending.clear()
            self._offset = 0
            self._read_through = 0
        else:
            for _ in range(min(through - self.acknowledged, len(self._pending))):
                self._pending.popleft()
        self.acknowledged = through

    def replace_next(self) -> bool:
        """Put a placeholder where the stream refuses the next event: its number must not be missing.

        False when the placeholder is what it refuses.
        """
        was_replaced = self._pending[0][1] == 0
        self._pending[0] = (replacement(self.folder.number, self.acknowledged + 1), 0)
        return not was_replaced


def replacement(attempt: int, seq: int) -> NewEvent:
    """What stands in the log for an event that cannot be read or stored."""
    data: JsonObject = {"level": "warning", "message": "an event could not be stored", "seq": seq}
    return NewEvent(event_type=LOG, timestamp=datetime.now(UTC), attempt=attempt, data=data)
