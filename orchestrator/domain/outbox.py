"""Where events wait between the move they tell of and the log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from orchestrator.domain.job import OutboxEvent


class OutboxRepository(Protocol):
    """Events written with the move they tell of, sent afterwards."""

    def add(self, events: Sequence[OutboxEvent]) -> None: ...

    def due_topics(self, now: datetime, limit: int) -> list[str]:
        """Topics with unsent events whose time has come."""
        ...

    def unsent(self, topics: Sequence[str], limit: int) -> list[OutboxEvent]:
        """By topic, in producer order, from the first unsent one."""
        ...

    def mark_sent(self, topics: Sequence[str], through: int, now: datetime) -> None:
        """Events of these topics up to this number are in the log."""
        ...

    def reopen(self, topic: str, first_seq: int) -> None:
        """Send these again: the log does not have them."""
        ...

    def postpone(self, topic: str, until: datetime) -> None: ...

    def told_incomplete(self, topic: str) -> set[int]:
        """Attempts of which an `attempt_log_incomplete` is in the outbox, sent or not."""
        ...

    def put_before_last(self, topic: str, events: Sequence[OutboxEvent]) -> None:
        """Number these where the unsent last event of the topic stands, and that one after them."""
        ...

    def delete_sent_before(self, before: datetime, limit: int) -> int: ...
