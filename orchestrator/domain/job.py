"""A job, its attempts, and what is written down about them."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.idempotency import IdempotencyKey
from shared.contracts.base import JsonObject
from shared.contracts.jobs import Phase
from shared.contracts.scheduling import NO_TERMS, Scheduling
from shared.contracts.work import AttemptCause, DatasetInput, ExitReport, Failure, JobKind, ModelInput

_JOB_ID = re.compile(r"job-[0-9a-z]{26}")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The immutable versions a job's names were resolved to when it was submitted, by role."""

    datasets: dict[str, DatasetInput] = field(default_factory=dict)
    models: dict[str, ModelInput] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One unit of work; changed only by making a new value and saving it against `version`."""

    job_id: str
    kind: JobKind
    worker: str
    """Name of the service that runs it; which of its workers is `placed_on`."""
    project: str
    spec: JsonObject
    """The kind's own contract as the user sent it, defaults applied, in camelCase."""
    inputs: Inputs
    phase: Phase
    why: str
    created_at: datetime
    updated_at: datetime
    turn: datetime
    """Its place in line, earliest first."""
    terms: Scheduling = NO_TERMS
    is_held: bool = False
    """Queued, but not in line until its next look."""
    sweep: str | None = None
    """The sweep it is a part of."""
    trial: int | None = None
    """Its number in the sweep, from 1."""
    parameters: JsonObject = field(default_factory=dict)
    """What sets it apart from the sweep's other trials."""
    placed_on: str | None = None
    """The worker that has its newest attempt."""
    max_retries: int = 0
    retries_spent: int = 0
    next_cause: AttemptCause = AttemptCause.FIRST
    """Why the next attempt will exist."""
    attempt: int = 0
    """Number of the newest attempt; 0 before the first."""
    current_step: int = 0
    total_steps: int | None = None
    fraction: float = 0.0
    metrics: JsonObject = field(default_factory=dict)
    result: JsonObject = field(default_factory=dict)
    failure: Failure | None = None
    retry_of: str | None = None
    cloned_from: str | None = None
    unreachable_since: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    next_look_at: datetime | None = None
    """When the reconciler is due; None in terminal phases, while paused, and in line."""
    event_seq: int = 0
    """Number of the last event that the orchestrator wrote about this job."""
    traceparent: str | None = None
    version: int = 1

    @property
    def attempt_id(self) -> str:
        """Id of the newest attempt: the idempotency key and the fencing token towards the worker."""
        return attempt_id_of(self.job_id, self.attempt)

    @property
    def is_waiting(self) -> bool:
        """Whether it stands in its worker's queue."""
        return self.phase is Phase.QUEUED

    @property
    def pin(self) -> str | None:
        """The one worker that a further attempt may run on: checkpoints lie on its disk."""
        has_more_to_lose = self.kind is JobKind.TRAINING and self.attempt > 0 and self.current_step > 0
        return self.placed_on if has_more_to_lose else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a job, written down before the worker is asked."""

    job_id: str
    number: int
    cause: AttemptCause
    created_at: datetime
    worker: str | None = None
    """Who was asked to run it; the only worker of the service for attempts older than this field."""
    ended_at: datetime | None = None
    """When the orchestrator learnt of its end."""
    exit: ExitReport | None = None
    verdict: Failure | None = None
    """Why it is being ended although it runs; what its job fails with unless it succeeds first."""

    @property
    def attempt_id(self) -> str:
        """`<job_id>.<number>`."""
        return attempt_id_of(self.job_id, self.number)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One move of a job."""

    job_id: str
    at: datetime
    from_phase: Phase | None
    to_phase: Phase
    why: str
    attempt: int


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event on its way to the log; `producer_seq` makes sending it twice harmless."""

    topic: str
    producer_seq: int
    event_type: str
    timestamp: datetime
    attempt: int
    data: JsonObject
    after_drain: bool
    """Sent only when every attempt of the job is sealed and drained: nothing may follow it."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to write down, and who asked for it."""

    job: Job
    caller: str
    key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """A job that this process may write about until the lease runs out or someone else takes it."""

    job: Job
    token: str


def is_job_id(text: str) -> bool:
    """Whether `text` could be the id of a job; anything else names none, whatever a database makes of it."""
    return _JOB_ID.fullmatch(text) is not None


def attempt_id_of(job_id: str, number: int) -> str:
    """The id of a job's attempt."""
    return f"{job_id}.{number}"


WORKER_OF_KIND = {
    JobKind.TRAINING: "training",
    JobKind.EXPORT: "training",
    JobKind.ANALYSIS: "analyzer",
    JobKind.OPTIMIZATION: "analyzer",
    JobKind.EVALUATION: "evaluator",
}
"""Which service runs what."""
