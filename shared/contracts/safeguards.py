"""What watches over a training, and how far it may go to save it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shared.contracts.base import Contract, Int, Number


class Watchdog(StrEnum):
    """What follows from a loss that is no number, spikes or diverges; one that is no number always ends a run."""

    RECOVER = "recover"
    """Back to the last good checkpoint, at half the learning rate, past the batches it happened at."""
    REPORT = "report"
    """An event with its evidence."""
    OFF = "off"


class SafeguardOptions(Contract):
    """Each tells what it does as an event, `safeguard_struck`."""

    loss_watchdog: Watchdog = Watchdog.RECOVER
    max_rollbacks: Annotated[Int, Field(ge=0, le=20)] = 3
    """How often the watchdog may go back in a job before the loss fails it."""
    oom_recovery: bool = True
    """When memory runs out: half the rows at a time, twice as often, from the last checkpoint."""
    step_retries: Annotated[Int, Field(ge=0, le=10)] = 3
    """How often one step, or reading one batch, is tried again after a fault that may pass, such as a failed read."""
    plateau_evaluations: Annotated[Int, Field(ge=1, le=1000)] | None = None
    """Lower the learning rate after so many evaluations in a row without a lower validation loss."""
    plateau_factor: Annotated[Number, Field(gt=0, lt=1)] = 0.5
    """What the learning rate is then multiplied by."""
    keep_best: bool = False
    """Keep the checkpoint with the lowest validation loss, and publish that one."""
    memory_limit_gb: Annotated[Number, Field(gt=0, le=100_000)] | None = None
    """Of 10^9 bytes: the most that the training's process may hold; its allocations fail beyond it."""
    memory_guard_at: Annotated[Number, Field(gt=0, le=1)] = 0.9
    """The share of `memoryLimitGb` at which the guard acts."""
    gpu_memory_guard_at: Annotated[Number, Field(gt=0, le=1)] | None = None
    """The share of the GPU's memory, less what other processes hold of it, at which the guard acts."""
