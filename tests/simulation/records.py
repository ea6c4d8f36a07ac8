"""What a simulated database keeps beside jobs: attempts, history, the outbox, and what nobody reads there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.domain.audit import Change
from orchestrator.domain.job import Attempt, HistoryEntry, OutboxEvent
from orchestrator.domain.webhooks.webhook import Webhook
from orchestrator.domain.workers import Ruling
from shared.contracts.events import ATTEMPT_LOG_INCOMPLETE
from shared.contracts.work import ExitReport, Failure
from tests.simulation.invariants import require
from tests.simulation.tables import Tables, Unsent


class Attempts:
    """`AttemptRepository` of one transaction."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.attempts

    def add(self, attempt: Attempt) -> None:
        require((attempt.job_id, attempt.number) not in self._rows, "an attempt is written down twice")
        self._rows[attempt.job_id, attempt.number] = attempt

    def end(self, job_id: str, number: int, report: ExitReport, ended_at: datetime) -> None:
        attempt = self._rows[job_id, number]
        if attempt.ended_at is None:
            self._rows[job_id, number] = replace(attempt, exit=report, ended_at=ended_at)

    def condemn(self, job_id: str, number: int, verdict: Failure) -> None:
        attempt = self._rows[job_id, number]
        if attempt.ended_at is None:
            self._rows[job_id, number] = replace(attempt, verdict=verdict)

    def find(self, job_id: str, number: int) -> Attempt | None:
        return self._rows.get((job_id, number))

    def of_job(self, job_id: str) -> list[Attempt]:
        return [attempt for key, attempt in sorted(self._rows.items()) if key[0] == job_id]


class History:
    """`HistoryRepository` of one transaction."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.history

    def add(self, entries: Sequence[HistoryEntry]) -> None:
        self._rows.extend(entries)

    def of_job(self, job_id: str) -> list[HistoryEntry]:
        return [entry for entry in self._rows if entry.job_id == job_id]


class Outbox:
    """`OutboxRepository` of one transaction."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.outbox

    def add(self, events: Sequence[OutboxEvent]) -> None:
        for event in events:
            require((event.topic, event.producer_seq) not in self._rows, "an event number is given twice")
            self._rows[event.topic, event.producer_seq] = Unsent(event, event.timestamp)

    def due_topics(self, now: datetime, limit: int) -> list[str]:
        due = {key[0] for key, row in self._rows.items() if row.sent_at is None and row.next_try_at <= now}
        return sorted(due)[:limit]

    def unsent(self, topics: Sequence[str], limit: int) -> list[OutboxEvent]:
        found = [row.event for key, row in sorted(self._rows.items()) if key[0] in topics and row.sent_at is None]
        return found[:limit]

    def _change(self, is_meant: Callable[[tuple[str, int], Unsent], bool], **changes: datetime | None) -> None:
        for key, row in self._rows.items():
            if is_meant(key, row):
                self._rows[key] = replace(row, **changes)  # type: ignore[arg-type]

    def mark_sent(self, topics: Sequence[str], through: int, now: datetime) -> None:
        self._change(lambda key, row: key[0] in topics and key[1] <= through and row.sent_at is None, sent_at=now)

    def reopen(self, topic: str, first_seq: int) -> None:
        self._change(lambda key, _: key[0] == topic and key[1] >= first_seq, sent_at=None)

    def postpone(self, topic: str, until: datetime) -> None:
        self._change(lambda key, row: key[0] == topic and row.sent_at is None, next_try_at=until)

    def told_incomplete(self, topic: str) -> set[int]:
        told = (row.event for key, row in self._rows.items() if key[0] == topic)
        return {event.attempt for event in told if event.event_type == ATTEMPT_LOG_INCOMPLETE}

    def put_before_last(self, topic: str, events: Sequence[OutboxEvent]) -> None:
        last = [key for key, row in self._rows.items() if key[0] == topic and row.event.after_drain and not row.sent_at]
        fresh = [event for event in events if event.attempt not in self.told_incomplete(topic)]
        if last and fresh:
            row = self._rows.pop(last[0])
            place = row.event.producer_seq
            self.add([replace(event, producer_seq=place + number) for number, event in enumerate(fresh)])
            self.add([replace(row.event, producer_seq=place + len(fresh))])


class Audit:
    """`AuditRepository` that nobody reads."""

    def add(self, *changes: Change) -> None:
        del changes


class Workers:
    """`WorkerRepository` of a mesh in which no operator says anything."""

    def all(self) -> list[Ruling]:
        return []


class Webhooks:
    """`WebhookRepository` of a mesh that tells nobody."""

    def listening(self) -> list[Webhook]:
        return []
