"""The one protocol between the orchestrator and every worker service."""

import operator
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.contracts.base import AttemptId, Int, JobId, JsonObject, Number, Sha256, WireModel
from shared.contracts.devices import Device
from shared.contracts.failures import FailureClass, Reason


class JobKind(StrEnum):
    """What a job does; each kind is run by one worker service."""

    TRAINING = "training"
    ANALYSIS = "analysis"
    OPTIMIZATION = "optimization"
    EVALUATION = "evaluation"
    EXPORT = "export"


class AttemptCause(StrEnum):
    """Why this attempt exists."""

    FIRST = "first"
    RETRY = "retry"
    RESUME = "resume"
    PREEMPTED = "preempted"


class AttemptState(StrEnum):
    """Where an attempt is, as its worker sees it."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    ENDED = "ended"


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    PAUSED = "paused"
    PREEMPTED = "preempted"
    WORKER_LOST = "worker_lost"
    REFUSED = "refused"
    """The worker had no room; nothing ran, and nothing under this attempt's id ever will."""


class Evidence(WireModel):
    """One fact that a reason rests on; short, without secrets or paths of the machine."""

    source: Literal["exit", "cgroup", "log", "event"]
    text: str
    figures: JsonObject = {}
    at: datetime | None = None
    offset: Int | None = None
    """Of a log line: the byte of the attempt's output it begins at."""


class Suggestion(WireModel):
    """What to do about a failure."""

    advice: str
    patch: JsonObject = {}
    """Fields of the spec to change, with their new values; empty when the spec is not what must change."""


class Failure(WireModel):
    """Why an attempt failed: a stable reason for programs, the rest for people."""

    failure_class: FailureClass
    reason: str
    """One of `Reason`; newer workers may know more."""
    message: str
    retryable: bool = False
    evidence: list[Evidence] = []
    suggestion: Suggestion | None = None

    @classmethod
    def of(cls, reason: Reason, message: str = "") -> "Failure":
        """A failure that the orchestrator itself concludes."""
        return cls(
            failure_class=reason.failure_class, reason=reason, message=message or reason.means,
            retryable=reason.retryable, suggestion=Suggestion(advice=reason.advice),
        )  # fmt: skip


class Control(StrEnum):
    """What a running attempt may be asked to do; each ends it after a checkpoint."""

    STOP = "stop"
    PAUSE = "pause"
    PREEMPT = "preempt"


class Resources(WireModel):
    """What an attempt takes of its worker while it lives."""

    slots: Int = Field(default=1, ge=1)
    gpus: Int = Field(default=0, ge=0)
    memory_gb: Number = Field(default=0.0, ge=0)
    """Of 10^9 bytes."""


class DatasetInput(WireModel):
    """A resolved data set version: `sha256` names its normalised JSON Lines blob."""

    dataset_id: str
    name: str
    version: Int
    format: str
    rows: Int
    sha256: Sha256
    images: Sha256 | None = Field(default=None, exclude_if=operator.not_)
    """Manifest of the folder that holds the rows' images, by hash. Left out when there are none, for older workers."""


class Measured(WireModel):
    """What an evaluation found."""

    dataset: str
    """`name@version`."""
    metrics: JsonObject
    baseline: str | None = None
    baseline_metrics: JsonObject = {}


class ModelOrigin(WireModel):
    """Where a model version is from, for its model card."""

    reference: str
    """`name@version`."""
    made_at: datetime
    made_by: str
    """`import`, `training`, or the export's operation."""
    base_model: str | None = None
    spec: JsonObject = {}
    """Of the job that made it."""
    datasets: dict[str, DatasetInput] = {}
    figures: JsonObject = {}
    evaluations: list[Measured] = []


class ModelInput(WireModel):
    """A resolved model version: trees in the artifact store."""

    model_id: str
    name: str
    version: Int
    base: Sha256
    """Manifest of the folder with config, tokenizer and safetensors weights."""
    adapter: Sha256 | None = None
    """Manifest of the adapter folder to put on top of `base`."""
    template: str
    """LLaMA-Factory chat template."""
    origins: list[ModelOrigin] = Field(default=[], exclude_if=operator.not_)
    """The version's own, then its base's and so on; only exports are told. Left out when empty, for older workers."""


class AttemptSpec(WireModel):
    """All a worker needs to run one attempt; `spec` is the kind's own contract, unresolved names included."""

    attempt_id: AttemptId
    job_id: JobId
    number: Int = Field(ge=1)
    kind: JobKind
    cause: AttemptCause = AttemptCause.FIRST
    spec: JsonObject
    datasets: dict[str, DatasetInput] = {}
    """By role: `train`, `validation`, `test`."""
    models: dict[str, ModelInput] = {}
    """By role: `base` for training, `model` and `baseline` for evaluation, `tokenizer` for analysis."""
    resources: Resources = Resources()
    traceparent: str | None = None


class Artifact(WireModel):
    """A file or folder an attempt left in the artifact store."""

    name: str
    sha256: Sha256
    """Of the file, or of the folder's manifest."""
    size: Int
    media_type: str = "application/octet-stream"
    is_tree: bool = False


class ExitReport(WireModel):
    """How an attempt's processes ended, written once by its shepherd."""

    outcome: Outcome
    code: Int | None = None
    signal: Int | None = None
    peak_memory_bytes: Int | None = None
    oom_killed: bool = False
    last_seq: Int = 0
    """Number of the attempt's last valid event: where its log is to be sealed."""
    ended_at: datetime
    failure: Failure | None = None
    result: JsonObject = {}
    artifacts: list[Artifact] = []


class Progress(WireModel):
    """The newest figures of a living attempt."""

    step: Int | None = None
    total_steps: Int | None = None
    epoch: Number | None = None
    fraction: Number | None = None
    metrics: JsonObject = {}


class AttemptView(WireModel):
    """What a worker answers about an attempt."""

    attempt_id: AttemptId
    state: AttemptState
    started_at: datetime | None = None
    progress: Progress = Progress()
    idle_s: Number | None = None
    """Seconds since its newest event, or since its processes began; absent before that and after the end."""
    exit: ExitReport | None = None


class Capacity(WireModel):
    """What a worker has, and what of it is not taken."""

    slots: Int
    free: Int
    spares: Int = 0
    """Warm process pairs that wait for a job."""
    draining: bool = False
    gpus: Int = 0
    free_gpus: Int = 0
    memory_gb: Number = 0.0
    """Of 10^9 bytes: all that attempts may be promised."""
    free_memory_gb: Number = 0.0
    devices: list[Device] = Field(default=[], exclude_if=operator.not_)
    """What the machine computes with, the processor included."""


class Removed(WireModel):
    """What is not, or no longer, at a worker or in the log."""

    name: str


class Hint(WireModel):
    """A worker's nudge: look at this job now."""

    job_id: JobId
