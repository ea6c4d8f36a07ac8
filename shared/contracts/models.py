"""Models and their immutable versions."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.base import Contract, Int, Name, Reference, Sha256

Template = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{0,47}$")]


class ModelPurpose(StrEnum):
    """What a model is made to do."""

    CHAT = "chat"
    """Write text."""
    REWARD = "reward"
    """Put a number to an answer; it cannot be served, evaluated or merged as one that writes."""


class ModelView(Contract):
    """One version of a model, as the API answers it."""

    model_id: str
    name: Name
    version: Int
    base: Sha256
    adapter: Sha256 | None = None
    template: str
    purpose: ModelPurpose = ModelPurpose.CHAT
    takes_images: bool = False
    """Whether it can be shown images, and trained on data sets that have some."""
    parameters: Int | None = None
    """Number of weights, adapter excluded."""
    base_model: str | None = None
    """Reference of the version this one was trained from."""
    job_id: str | None = None
    """The job that made it; absent for imports."""
    created_at: datetime


class ModelPage(Contract):
    """A page of models, newest first."""

    data: list[ModelView]
    has_more: bool
    next_cursor: str | None = None


_LEAST_HEAD = 8
"""Numbers of a head, when places in an image are turned into three angles."""


class MakeTinySpec(Contract):
    """Make a small base model on the spot: random weights, a tokenizer trained on the data set, a short warm-up."""

    name: Name
    from_dataset: Reference
    hidden_size: Annotated[Int, Field(ge=16, le=1024, multiple_of=8)] = 64
    layers: Annotated[Int, Field(ge=1, le=24)] = 2
    heads: Annotated[Int, Field(ge=1, le=32)] = 4
    vocab_size: Annotated[Int, Field(ge=300, le=65_536)] = 512
    takes_images: bool = False
    """Shaped like Qwen2-VL, with a small vision tower, instead of like Llama."""
    pretrain_steps: Annotated[Int, Field(ge=0, le=5_000)] = 200
    seed: Annotated[Int, Field(ge=0, le=2**31 - 1)] = 7

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError("hiddenSize must be a multiple of heads")
        head = self.hidden_size // self.heads
        if self.takes_images and (head < _LEAST_HEAD or head % 2):
            raise ValueError(f"takesImages needs hiddenSize / heads to be even and at least {_LEAST_HEAD}")
        return self
