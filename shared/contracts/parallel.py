"""Several processes that train one model together."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shared.contracts.base import Contract, Int


class Strategy(StrEnum):
    """How the processes share the work: all compute on other rows, and some hold only their part of the model's state.

    `zero1` shares out the optimizer's state, `zero2` gradients too, `zero3` and `fsdp` weights too.
    """

    DDP = "ddp"
    ZERO0 = "zero0"
    ZERO1 = "zero1"
    ZERO2 = "zero2"
    ZERO3 = "zero3"
    FSDP = "fsdp"

    @property
    def zero_stage(self) -> int | None:
        """DeepSpeed's number for it; None for what is not DeepSpeed's."""
        return int(self.value[-1]) if self.value.startswith("zero") else None

    @property
    def splits_weights(self) -> bool:
        """Whether no process holds the whole model."""
        return self in {Strategy.ZERO3, Strategy.FSDP}


class Parallel(Contract):
    """How many processes, on one worker, and how they share the work."""

    processes: Annotated[Int, Field(ge=2, le=64)]
    strategy: Strategy = Strategy.DDP


def batches_of(batch_size: int, accumulation: int, processes: int) -> tuple[int, int]:
    """Rows at a time and accumulation of each process, so that all together learn from `batch_size * accumulation`
    rows a step, no more than `batch_size` at a time on any; ValueError when so many rows cannot be shared evenly."""
    rows = batch_size * accumulation
    if rows % processes:
        raise ValueError(
            f"{processes} processes cannot share batchSize x gradientAccumulationSteps = {rows} rows a step evenly; "
            f"make that a multiple of {processes}"
        )
    share = rows // processes
    at_once = next(count for count in range(min(batch_size, share), 0, -1) if share % count == 0)
    return at_once, share // at_once
