"""Jobs as the API answers them."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract, Int, JsonObject, Number
from shared.contracts.failures import FailureClass
from shared.contracts.scheduling import Scheduling
from shared.contracts.work import Artifact, AttemptCause, Evidence, JobKind, Outcome, Suggestion


class Phase(StrEnum):
    """Where a job is; `status` in every answer."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED})
"""Is it over? Nothing moves a job out of these."""


class FailureView(Contract):
    """Why a job or an attempt failed, and whose fault it is."""

    failure_class: FailureClass = Field(alias="class")
    reason: str
    """Stable, for programs: `loss_not_finite`, `engine_killed` …; all of them are in docs/failures.md."""
    message: str
    retryable: bool
    """Whether another attempt may go better."""
    evidence: list[Evidence] = []
    suggestion: Suggestion | None = None


class WaitingFor(StrEnum):
    """What would let a waiting job start."""

    TURN = "turn"
    """Those before it: there is room for a job of its size."""
    SLOT = "slot"
    RESOURCES = "resources"
    """GPUs or memory, or slots on one worker."""
    WORKER = "worker"
    """None answers, or all are draining."""
    QUOTA = "quota"
    PARALLELISM = "parallelism"
    """Of its sweep."""
    DEPENDENCIES = "dependencies"
    """Jobs that must succeed first."""
    DELAY = "delay"
    """The pause before another attempt."""


class QueueView(Contract):
    """Where a waiting job stands; figures that are not known are null."""

    waiting_for: WaitingFor
    why: str
    position: Int | None = None
    """1 is next; lists leave it out."""
    estimated_start: datetime | None = None
    """From how long jobs like it took lately; null until three have finished."""


class JobView(Contract):
    """A job, its newest figures, and the reason it is where it is."""

    job_id: str
    kind: JobKind
    project: str
    status: Phase
    why: str
    attempt: Int
    """Number of the newest attempt; 0 before the first."""
    progress: Number
    """Share of the work done, 0 to 1."""
    current_step: Int
    total_steps: Int | None = None
    metrics: JsonObject = {}
    """The newest value of each figure."""
    spec: JsonObject
    result: JsonObject = {}
    failure: FailureView | None = None
    retry_of: str | None = None
    cloned_from: str | None = None
    """The job whose fields it took, but for those that were patched."""
    sweep_id: str | None = None
    """The sweep that it is a trial of."""
    trial: Int | None = None
    """Its number in the sweep, from 1."""
    parameters: JsonObject = {}
    """What sets it apart from the sweep's other trials."""
    scheduling: Scheduling = Scheduling()
    queue: QueueView | None = None
    """Only while it is queued."""
    worker: str | None = None
    """Which worker has its newest attempt."""
    unreachable_since: datetime | None = None
    """Set while the job's worker does not answer; the status stays what it was."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class JobPage(Contract):
    """A page of jobs, newest first."""

    data: list[JobView]
    has_more: bool
    next_cursor: str | None = None


class AttemptSummary(Contract):
    """One try at a job."""

    attempt_id: str
    number: Int
    cause: AttemptCause
    worker: str | None = None
    outcome: Outcome | None = None
    failure: FailureView | None = None
    created_at: datetime
    ended_at: datetime | None = None


class Move(Contract):
    """One row of a job's history."""

    at: datetime
    from_status: Phase | None
    to_status: Phase
    why: str
    attempt: Int


class JobHistory(Contract):
    """Every move of a job, oldest first."""

    data: list[Move]


class AttemptList(Contract):
    """Every try at a job, oldest first."""

    data: list[AttemptSummary]


class ArtifactList(Contract):
    """What a job left in the artifact store."""

    data: list[Artifact]


class LogPage(Contract):
    """A slice of an attempt's output."""

    attempt: Int
    offset: Int
    """Where the text begins; past what was asked for when output in between is no longer kept."""
    next_offset: Int
    text: str
    is_complete: bool
    """The attempt has ended and nothing follows."""


class PeerState(Contract):
    """A service of the mesh, as the orchestrator sees it."""

    name: str
    url: str
    is_ready: bool
    version: str | None = None


class SystemView(Contract):
    """Every service's address, version and state."""

    version: str
    services: list[PeerState]
