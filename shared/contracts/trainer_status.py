"""The status push of Kubeflow Trainer, which Hugging Face Trainers send when its address is in their environment."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from shared.contracts.base import Contract, Int


class TrainerMetric(Contract):
    """A figure; its value is text."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,128}$")]
    value: Annotated[str, StringConstraints(max_length=64)]


class TrainerStatus(Contract):
    """Where a training is."""

    progress_percentage: Annotated[Int, Field(ge=0, le=100)] | None = None
    estimated_remaining_seconds: Annotated[Int, Field(ge=0, le=2**53)] | None = None
    metrics: Annotated[list[TrainerMetric], Field(max_length=256)] = []
    last_updated_time: AwareDatetime | None = None


class TrainerStatusPush(Contract):
    """The body of a push, and its answer."""

    trainer_status: TrainerStatus
