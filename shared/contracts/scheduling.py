"""What a job asks of the queue and of a worker's machine, whatever kind it is."""

from typing import Annotated, Any

from pydantic import Field

from shared.contracts.base import Contract, Int, Number
from shared.contracts.work import Resources


class Scheduling(Contract):
    """Fields of every job that no engine sees."""

    priority: Annotated[Int, Field(ge=-10, le=10)] = 0
    """Higher goes first: each step is worth ten minutes of waiting, so nothing waits for ever."""
    slots: Annotated[Int, Field(ge=1, le=1024)] = 1
    """Slots of a worker that it takes while it runs."""
    gpus: Annotated[Int, Field(ge=0, le=1024)] = 0
    """GPUs that must be free on one worker; they are counted, not chosen."""
    memory_gb: Annotated[Number, Field(ge=0, le=1_000_000)] = 0.0
    """Host memory (GB, 10^9 bytes) that must not be promised to others on one worker."""

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
