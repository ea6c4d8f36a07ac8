"""Sweeps: one request for many jobs that differ in some fields."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Discriminator, Field, JsonValue, StringConstraints, Tag, model_validator

from shared.contracts.base import Contract, Int, JsonObject, Name, Number
from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind

MAX_TRIALS = 1000
FieldPath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$", max_length=96)
]
"""A field of a job, in either case; dots lead into objects."""
Figure = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./ -]{1,128}$")]
"""A figure of a job; dots lead into objects."""


class Method(StrEnum):
    """How trials are chosen."""

    GRID = "grid"
    """Every combination."""
    RANDOM = "random"
    """Drawn; the same seed draws the same."""


class Scale(StrEnum):
    """How a range is measured."""

    LINEAR = "linear"
    LOG = "log"


class NumberType(StrEnum):
    """What a range's values are."""

    FLOAT = "float"
    INT = "int"


class Goal(StrEnum):
    """Which value of a figure is best."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class SweptKind(StrEnum):
    """Kinds of jobs that can be swept."""

    TRAINING = "training"
    ANALYSIS = "analysis"
    EVALUATION = "evaluation"


class SweepStatus(StrEnum):
    """Where a sweep is, by what its trials are."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


class Range(Contract):
    """Numbers from `min` to `max`, both of them included."""

    min: Number
    max: Number
    scale: Scale = Scale.LINEAR
    type: NumberType = NumberType.FLOAT
    steps: Annotated[Int, Field(ge=2, le=MAX_TRIALS)] | None = None
    """How many values a grid takes, evenly spaced on the scale."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must be less than max")
        if self.scale is Scale.LOG and self.min <= 0:
            raise ValueError("a log scale needs min > 0")
        is_whole = self.min.is_integer() and self.max.is_integer() and max(abs(self.min), abs(self.max)) <= 2**53
        if self.type is NumberType.INT and not is_whole:
            raise ValueError("a range of integers begins and ends with one, of at most 2^53")
        return self


def _form_of(value: object) -> str:
    return "values" if isinstance(value, list) else "range"


Values = Annotated[list[JsonValue], Field(min_length=1, max_length=MAX_TRIALS)]
Parameter = Annotated[Annotated[Values, Tag("values")] | Annotated[Range, Tag("range")], Discriminator(_form_of)]


class Objective(Contract):
    """What makes one trial better than another."""

    metric: Figure
    """A figure of the job's `metrics`, or of its `result`."""
    goal: Goal


class SweptJob(Contract):
    """What all trials share: a kind, and fields as a submission of that kind has them."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    kind: SweptKind

    @property
    def fields(self) -> JsonObject:
        """Those of the submission."""
        return dict(self.__pydantic_extra__ or {})


class SweepSpec(Contract):
    """Many jobs in one request. A trial that fails stops no other."""

    name: Name | None = None
    project: Name = "default"
    job: SweptJob
    method: Method = Method.GRID
    parameters: Annotated[dict[FieldPath, Parameter], Field(min_length=1, max_length=32)]
    """Values for fields of the job: a list, or a range of numbers."""
    max_trials: Annotated[Int, Field(ge=1, le=MAX_TRIALS)] | None = None
    """Random: how many are drawn. Grid: larger ones are refused; 1,000 when absent."""
    seed: Annotated[Int, Field(ge=0, le=2**31 - 1)] = 0
    """Of the draw; a job's own seed is a field of the job."""
    parallelism: Annotated[Int, Field(ge=1, le=MAX_TRIALS)] | None = None
    """Trials at work at once; any number when absent."""
    objective: Objective | None = None

    @model_validator(mode="after")
    def _fits_its_method(self) -> Self:
        if self.method is Method.RANDOM and self.max_trials is None:
            raise ValueError("a random sweep needs maxTrials: how many trials to draw")
        open_ended = [name for name, one in self.parameters.items() if isinstance(one, Range) and one.steps is None]
        if self.method is Method.GRID and open_ended:
            raise ValueError(f"a grid needs steps, or a list of values, for {open_ended[0]}")
        return self


class TrialView(Contract):
    """One job of a sweep."""

    trial: Int
    job_id: str
    status: Phase
    why: str
    parameters: JsonObject
    """What sets it apart from the others."""
    progress: Number
    value: Number | None = None
    """The objective's newest; null without one, or before it is known."""


class SweepView(Contract):
    """A sweep, and where its trials are."""

    sweep_id: str
    name: str | None = None
    project: str
    kind: JobKind
    status: SweepStatus
    why: str
    trials: Int
    counts: dict[Phase, Int]
    """Trials by status."""
    spec: JsonObject
    created_at: datetime
    created_by: str


class SweepDetail(SweepView):
    """A sweep with its trials."""

    best: TrialView | None = None
    """Of the trials that succeeded; null without an objective."""
    children: list[TrialView]


class SweepPage(Contract):
    """A page of sweeps, newest first."""

    data: list[SweepView]
    has_more: bool
    next_cursor: str | None = None
