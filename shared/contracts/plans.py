"""What a training would take, told before it is submitted."""

import operator
from typing import Literal

from pydantic import Field

from shared.contracts.base import Contract, Int, JsonObject, Number, WireModel
from shared.contracts.parallel import Strategy
from shared.contracts.work import DatasetInput, ModelInput


class PlanCall(WireModel):
    """A training to be planned, its names resolved; what the orchestrator asks a training service."""

    spec: JsonObject
    datasets: dict[str, DatasetInput]
    models: dict[str, ModelInput]
    gpus: Int = Field(default=0, exclude_if=operator.not_)
    """That it asks for; left out when none, for older workers."""


class TokenCounts(Contract):
    """The rows as the model's own tokenizer and template read them."""

    total: Int
    """Of one epoch, after `cutoffLen`."""
    longest: Int
    """Of a row, before `cutoffLen`."""
    median: Int
    shortened_rows: Int
    """Rows that `cutoffLen` cuts."""
    measured_rows: Int
    """Rows that were read for these figures; the others are taken to be like them."""


class MemoryEstimate(Contract):
    """The peak on one device, and what it is made of, in GiB; on a CPU all processes of the training together."""

    device: Literal["cpu", "cuda"]
    weights: Number
    gradients: Number
    optimizer: Number
    activations: Number
    """What is kept for the backward pass of the longest batch, with what the allocator wastes on it."""
    process: Number
    """The program and its libraries; 0 on a GPU, whose memory they do not take."""
    peak: Number
    limit: Number
    """What the device has."""


class Duration(Contract):
    """How long it will take, by how fast trainings were that have ended here."""

    seconds: Number
    tokens_per_second: Number
    basis: str
    """Which trainings that speed was measured in."""


class BatchAdvice(Contract):
    """How to compute the same global batch."""

    batch_size: Int
    gradient_accumulation_steps: Int
    strategy: Literal["single_device"] | Strategy = "single_device"


class PlanWarning(Contract):
    """Something that the training would do, and that is probably not meant."""

    code: str
    message: str
    param: str | None = None
    """The field to change."""
    is_fatal: bool = False
    """The training would fail."""


class Alternative(Contract):
    """Changes to the request under which it fits."""

    changes: JsonObject
    peak: Number
    """GiB."""


class TrainingPlan(Contract):
    """What a training would take; `allowedToProceed` is false when it would fail or not fit."""

    allowed_to_proceed: bool
    parameters: Int = 0
    trainable_parameters: Int = 0
    rows: Int = 0
    """Rows that are trained on, of one epoch; blocks when they are packed."""
    steps: Int = 0
    """Optimizer steps of the whole training."""
    tokens: TokenCounts | None = None
    memory: MemoryEstimate | None = None
    duration: Duration | None = None
    """Absent until a training has ended here."""
    recommended: BatchAdvice | None = None
    warnings: list[PlanWarning] = []
    alternatives: list[Alternative] = []
    """When it does not fit."""
