"""Events, topics and producers of the event log."""

import math
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from shared.contracts.base import Int, JsonObject, WireModel

EventType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Topic = Annotated[str, StringConstraints(pattern=r"^(job|project):[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Producer = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
"""One numbering of events: an attempt id, or `orchestrator`."""

MAX_BATCH = 1_000
MAX_EVENT_BYTES = 64 * 1024
"""Of an event's data: a longer one would not fit into the log's body limit beside others."""
MAX_ATTEMPT = 10**6
MAX_SEQ = 2**53 - 1
Seq = Annotated[Int, Field(ge=1, le=MAX_SEQ)]

PHASE_CHANGED = "phase_changed"
METRICS_UPDATE = "metrics_update"
EPOCH_COMPLETED = "epoch_completed"
TRAINING_REWOUND = "training_rewound"
CHECKPOINT_SAVED = "checkpoint_saved"
PROGRESS = "progress"
"""`{done, total, what}`: how far a job without training steps has come."""
COMMAND_CARRIED_OUT = "command_carried_out"
"""`{command_id, action, step, …}`: what was asked of the running job is done."""
COMMAND_REFUSED = "command_refused"
"""`{command_id, action, step, why}`: it cannot be done."""
SAFEGUARD_STRUCK = "safeguard_struck"
"""`{safeguard, sign, step, evidence, reaction, …}`: something watched over the run, saw this, and did that."""
LOG = "log"
ATTEMPT_ENDED = "attempt_ended"
ATTEMPT_LOG_INCOMPLETE = "attempt_log_incomplete"
RUN_STARTED = "run_started"
"""`{name, project, config}`: the first event of a run of somebody's own trainer."""
RUN_FINISHED = "run_finished"
"""`{status, why}`: the last event of a run; only the run itself says it, and nothing follows."""
COMPACTED = "compacted"
"""`{through}`: the log says that it begins here, because its project's retention has it so."""
RESET = "reset"
"""`{reason, last_seq}`: start over from `last_seq`; `deleted` is followed by the end."""
STREAM_END = "stream_end"
"""Sent after a job's terminal event."""
HEARTBEAT = "heartbeat"
FAREWELL = "farewell"
OWN_WORDS = frozenset({COMPACTED, RESET, STREAM_END, HEARTBEAT, FAREWELL})
"""What only the log says; all but `compacted` on the wire only."""


def job_topic(job_id: str) -> str:
    """The topic that holds everything that happened to one job."""
    return f"job:{job_id}"


def project_topic(project: str) -> str:
    """The topic that tells how the jobs and runs of a project come and go."""
    return f"project:{project}"


def is_run_topic(topic: str) -> bool:
    """Whether the log belongs to a run of somebody's own trainer."""
    return topic.startswith("job:run-")


def _without_non_finite(value: Any, path: str, found: list[str]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        found.append(path)
        return None
    if isinstance(value, dict):
        return {key: _without_non_finite(item, f"{path}.{key}" if path else key, found) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_non_finite(item, path, found) for item in value]
    return value


def finite(data: Any) -> Any:
    """`data` with NaN and Infinity as null, and the dotted names of those fields under `non_finite`."""
    found: list[str] = []
    cleaned = _without_non_finite(data, "", found)
    if not found or not isinstance(cleaned, dict):
        return data
    declared = cleaned.get("non_finite")
    known = [name for name in declared if isinstance(name, str)] if isinstance(declared, list) else []
    return {**cleaned, "non_finite": sorted({*found, *known})}


class NewEvent(WireModel):
    """An event as its producer sends it; its number is its place in the batch."""

    event_type: EventType
    timestamp: AwareDatetime
    attempt: Annotated[Int, Field(ge=0, le=MAX_ATTEMPT)] | None = None
    data: Annotated[JsonObject, BeforeValidator(finite)] = {}


class Event(WireModel):
    """An event as the log keeps it: `seq` is gapless within its topic, from 1."""

    seq: Int
    event_type: str
    job_id: str | None = None
    attempt: Int | None = None
    timestamp: datetime
    data: JsonObject = {}


class Numbered(WireModel):
    """Whose events follow, and which number the first of them has."""

    producer: Producer
    first_seq: Seq


class AppendRequest(Numbered):
    """A run of one producer's events, the first of them numbered `first_seq`."""

    events: list[NewEvent] = Field(min_length=1, max_length=MAX_BATCH)


class ProducerMark(WireModel):
    """How far a producer's numbering is in the log, and where it was sealed."""

    producer: str
    accepted_through: Int = 0
    sealed_at: Int | None = None

    @property
    def is_drained(self) -> bool:
        """Everything up to the seal has arrived."""
        return self.sealed_at is not None and self.accepted_through >= self.sealed_at


class SealRequest(WireModel):
    """No event of this producer past `at` will ever be accepted."""

    at: Annotated[Int, Field(ge=0, le=MAX_SEQ)]


class Ticket(WireModel):
    """Opens one topic's stream to who cannot send headers; `expires_at` is the last moment to connect."""

    ticket: str
    expires_at: datetime


class EventPage(WireModel):
    """A page of a log, oldest first."""

    data: list[Event]
    has_more: bool


class CurrentMetrics(WireModel):
    """The newest value of every figure of a job; the newest attempt's wins."""

    job_id: str
    attempt: Int | None = None
    seq: Int = 0
    """Of the event that changed a figure last; 0 before the first."""
    timestamp: datetime | None = None
    data: JsonObject = {}
