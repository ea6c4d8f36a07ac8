"""A log without a server: appends as the committer does them, sweeps, and what readers then find."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from services.stream.log.access import Access
from services.stream.log.admission import admit
from services.stream.log.curves import CurveReader
from services.stream.log.numbering import Append
from services.stream.log.reading import LogReader
from services.stream.log.retention import write_policy
from services.stream.log.transaction import apply
from services.stream.sweeper import Sweeper
from services.stream.wiring import MIGRATIONS
from shared.contracts.events import Event, NewEvent, job_topic
from shared.contracts.retention import RetentionPolicy
from shared.kit.clock import SystemClock
from shared.kit.errors import ImtsError
from shared.kit.migrations import migrate
from shared.kit.sql import Database, open_engine
from tests.integration.stream.client import NOW

CURVES = ("train_loss", "advanced_metrics.gradient_norm")
"""Those that `figures` draws."""
_BATCH = 500


@contextmanager
def opened(database_url: str) -> Iterator[Database]:
    """The schema, and nothing in it."""
    database = Database(open_engine(database_url, 6))
    migrate(database.engine, MIGRATIONS)
    yield database
    database.close()


class Book:
    """Writes and reads topics directly."""

    def __init__(self, database: Database) -> None:
        self.log = Access(database)
        self.reader = LogReader(self.log)
        self._sent: dict[tuple[str, str], int] = {}

    def append(self, topic: str, producer: str, events: Sequence[dict[str, Any]], first_seq: int | None = None) -> None:
        """Append in batches; raises what the log has against it."""
        done = self._sent.get((topic, producer), 0) if first_seq is None else first_seq - 1
        for at in range(0, len(events), _BATCH):
            entries = admit(topic, [NewEvent.model_validate(event) for event in events[at : at + _BATCH]])
            run = Append(topic, producer, done + 1, entries)
            [outcome] = self.log.write(lambda session, run=run: apply(session, [run])).outcomes  # type: ignore[misc]
            if outcome.fault is not None:
                raise outcome.fault
            done += len(entries)
        self._sent[topic, producer] = done

    def job(self, job: str, project: str, steps: int, *, ends: bool = True) -> str:
        """A job of `project` with metrics of so many steps; its topic."""
        topic = job_topic(job)
        self.append(topic, "orchestrator", [move("queued", project), move("running", project)])
        self.append(topic, f"{job}.1", [figures(step) for step in range(steps)])
        if ends:
            self.append(topic, "orchestrator", [move("succeeded", project)])
        return topic

    def events(self, topic: str, after: int = 0) -> list[Event]:
        """The log after `after`, whole."""
        found: list[Event] = []
        has_more = True
        while has_more:
            records, has_more = self.reader.page(topic, found[-1].seq if found else after, 1_000)
            found += [Event.model_validate_json(record.body) for record in records]
        return found

    def refusal(self, topic: str, producer: str, events: Sequence[dict[str, Any]], first_seq: int = 1) -> ImtsError:
        """Why the log does not take these."""
        try:
            self.append(topic, producer, events, first_seq)
        except ImtsError as fault:
            return fault
        raise AssertionError("the log took them")

    def rule(self, project: str, action: str, after_days: int = 7) -> None:
        """Say what becomes of a project's logs."""
        policy = RetentionPolicy.model_validate({"action": action, "after_days": after_days})
        self.log.write(partial(write_policy, project=project, policy=policy, now=now()))

    def sweep(self, days: float) -> int:
        """A sweep of somebody whose clock is `days` ahead."""
        return asyncio.run(Sweeper(self.log, _Ahead(days), 1).sweep())

    def drawn(self, topic: str, count: int, after: int = -1, until: int = 10**9) -> dict[str, Any]:
        """Both curves, in so many buckets."""
        return CurveReader(self.log).draw(topic, CURVES, count, after, until).buckets


class _Ahead(SystemClock):
    """The machine's clock, some days ahead."""

    def __init__(self, days: float) -> None:
        self._lead = timedelta(days=days)

    def now(self) -> datetime:
        return super().now() + self._lead


def move(to: str, project: str) -> dict[str, Any]:
    """A job's move."""
    data = {"from": "queued", "to": to, "why": "test", "project": project}
    return {"event_type": "phase_changed", "timestamp": NOW, "attempt": 1, "data": data}


def figures(step: int, attempt: int = 1, **more: Any) -> dict[str, Any]:
    """One step's metrics."""
    data = {"step": step, "train_loss": 1 / (step + 1), "advanced_metrics": {"gradient_norm": step % 7}, **more}
    return {"event_type": "metrics_update", "attempt": attempt, "timestamp": NOW, "data": data}


def now() -> datetime:
    """The wall clock, which the log stamps the ends of topics with."""
    return datetime.now(UTC)
