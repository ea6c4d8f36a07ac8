"""What a user asks of a training job."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from shared.contracts.base import Int, Name, Number, Reference
from shared.contracts.scheduling import Scheduling


class Stage(StrEnum):
    """LLaMA-Factory's training stages that this release runs."""

    PT = "pt"
    SFT = "sft"


class FinetuningType(StrEnum):
    """Which weights are trained."""

    LORA = "lora"
    FULL = "full"


class Scheduler(StrEnum):
    """Shape of the learning rate over the run."""

    LINEAR = "linear"
    COSINE = "cosine"
    CONSTANT = "constant"
    CONSTANT_WITH_WARMUP = "constant_with_warmup"


class TrainingSpec(Scheduling):
    """A fine-tuning job. Only these fields reach the engine; paths and engine switches are the server's."""

    model_name: Reference
    dataset: Reference
    stage: Stage = Stage.SFT
    finetuning_type: FinetuningType = FinetuningType.LORA
    batch_size: Annotated[Int, Field(ge=1, le=1024)] = 4
    """Rows per device and forward pass."""
    learning_rate: Annotated[Number, Field(gt=0, le=1)] = 1e-4
    epochs: Annotated[Number, Field(gt=0, le=1000)] = 3.0

    validation_dataset: Reference | None = None
    max_steps: Annotated[Int, Field(ge=1, le=10_000_000)] | None = None
    """Overrides `epochs` when given."""
    logging_steps: Annotated[Int, Field(ge=1, le=100_000)] = 10
    save_steps: Annotated[Int, Field(ge=1, le=10_000_000)] | None = None
    """Optimizer steps between checkpoints; when absent, ten a run, but none within seconds of the one before."""
    keep_checkpoints: Annotated[Int, Field(ge=1, le=100)] = 2
    eval_steps: Annotated[Int, Field(ge=1, le=10_000_000)] | None = None
    """Optimizer steps between evaluations on `validation_dataset`; a tenth of the run when absent."""
    cutoff_len: Annotated[Int, Field(ge=8, le=131_072)] = 1024
    """Tokens a row may have; the rest is cut."""
    gradient_accumulation_steps: Annotated[Int, Field(ge=1, le=4096)] = 1
    warmup_ratio: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    lr_scheduler_type: Scheduler = Scheduler.COSINE
    weight_decay: Annotated[Number, Field(ge=0, le=10)] = 0.0
    max_grad_norm: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    seed: Annotated[Int, Field(ge=0, le=2**31 - 1)] = 42
    lora_rank: Annotated[Int, Field(ge=1, le=1024)] = 16
    lora_alpha: Annotated[Int, Field(ge=1, le=4096)] | None = None
    """Twice the rank when absent."""
    lora_dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    output_name: Name | None = None
    """Name of the model this job makes a version of; `<model>-<stage>-<finetuningType>` when absent."""
    max_retries: Annotated[Int, Field(ge=0, le=20)] = 2
    """New attempts after failures that are not the user's."""

    @field_validator("eval_steps")
    @classmethod
    def _eval_needs_data(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("validation_dataset") is None:
            raise ValueError("needs validationDataset: name the data set to evaluate on")
        return value
