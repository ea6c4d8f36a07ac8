"""What a job asks of the queue and of a worker's machine, whatever kind it is."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from shared.contracts.base import Contract, Int, JobId, Number
from shared.contracts.work import Resources


class Scheduling(Contract):
    """Fields of every job that no engine sees."""

    priority: Annotated[Int, Field(ge=-10, le=10)] = 0
    """Higher goes first: each step is worth ten minutes of waiting, so nothing waits for ever."""
    slots: Annotated[Int, Field(ge=1, le=1024)] = 1
    """Slots of a worker that it takes while it runs."""
    gpus: Annotated[Int, Field(ge=0, le=1024)] = 0
    """GPUs that must be free on one worker, which chooses those with most free memory; with 0 it may share one."""
    memory_gb: Annotated[Number, Field(ge=0, le=1_000_000)] = 0.0
    """Host memory (GB, 10^9 bytes) that must not be promised to others on one worker."""
    queue_timeout_s: Annotated[Number, Field(ge=1, le=31_536_000)] | None = None
    """Longest wait for the first attempt, from submission; the job then fails with `queue_timeout`."""
    run_timeout_s: Annotated[Number, Field(ge=1, le=31_536_000)] | None = None
    """Longest life of one attempt; the job then fails with `run_timeout`, its newest checkpoint stays."""
    no_progress_timeout_s: Annotated[Number, Field(ge=1, le=31_536_000)] | None = None
    """Longest silence of a running attempt's event log; it is then ended (`no_progress`) and tried again."""
    depends_on: Annotated[list[JobId], Field(max_length=64)] = []
    """Jobs that must succeed before this one stands in line; one that does not fails it (`dependency_failed`)."""

    @field_validator("gpus", mode="before")
    @classmethod
    def _gpus_are_whole(cls, value: Any) -> Any:
        if isinstance(value, float) and not value.is_integer():
            raise ValueError("a share of a GPU cannot be had: jobs do not share one; ask for whole GPUs, or for 0")
        return value

    @field_validator("depends_on")
    @classmethod
    def _names_each_job_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("must name each job once")
        return value

    def with_defaults(self, defaults: "Scheduling") -> "Scheduling":
        """The same, with the limits that it does not say taken from `defaults`."""
        limits = ("queue_timeout_s", "run_timeout_s", "no_progress_timeout_s")
        absent = {name: getattr(defaults, name) for name in limits if getattr(self, name) is None}
        return self.model_copy(update=absent)

    @property
    def resources(self) -> Resources:
        """What it takes of its worker."""
        return Resources(slots=self.slots, gpus=self.gpus, memory_gb=self.memory_gb)


NO_TERMS = Scheduling()
"""What a job asks that says nothing about it."""
SCHEDULING_FIELDS = frozenset(Scheduling.model_fields)
"""Of a request's fields, those that are not part of the spec which a worker gets."""


def scheduling_of(spec: Scheduling) -> Scheduling:
    """The part of a request that every kind shares."""
    said: dict[str, Any] = {name: getattr(spec, name) for name in SCHEDULING_FIELDS}
    return Scheduling(**said)
