"""Events on their way into the log and as it keeps them; data is encoded to JSON once, here."""

import json
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic_core import to_json

from shared.contracts.base import JsonObject
from shared.contracts.events import PHASE_CHANGED, RUN_FINISHED, is_run_topic
from shared.contracts.jobs import TERMINAL


def dump(value: object) -> str:
    """Compact JSON, every script as it is; ValueError where text is not Unicode. NaN is for the caller to keep out."""
    return to_json(value).decode()


def job_of(topic: str) -> str | None:
    """The job that a topic belongs to; None for a project's."""
    scope, _, name = topic.partition(":")
    return name if scope == "job" else None


def ends_topic(topic: str, event_type: str, data: str) -> bool:
    """Whether nothing may follow this event: a job has reached a terminal phase, or a run says that it is over."""
    if event_type == RUN_FINISHED:
        return is_run_topic(topic)
    if event_type != PHASE_CHANGED or not topic.startswith("job:"):
        return False
    return json.loads(data).get("to") in TERMINAL


class Entry(NamedTuple):
    """A checked event that has no number in its topic yet."""

    event_type: str
    attempt: int | None
    step: int | None
    timestamp: datetime
    data: str
    ends_topic: bool
    figures: JsonObject | None
    """The data again, for events that carry figures."""
    project: str | None = None
    """Where the topic belongs, if this event says so."""
    news: str | None = None
    """Data of the event that tells the project's own topic of this one."""


class Record(NamedTuple):
    """An event in the log."""

    topic: str
    seq: int
    event_type: str
    attempt: int | None
    timestamp: datetime
    data: str

    @property
    def body(self) -> str:
        """The event as JSON on every wire; `data` is passed through, not parsed again."""
        moment = self.timestamp.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        attempt = "null" if self.attempt is None else self.attempt
        return (
            f'{{"timestamp":"{moment}","event_type":"{self.event_type}","job_id":{dump(job_of(self.topic))},'
            f'"attempt":{attempt},"seq":{self.seq},"data":{self.data}}}'
        )

    @property
    def ends_topic(self) -> bool:
        """Whether this is its topic's last event."""
        return ends_topic(self.topic, self.event_type, self.data)
