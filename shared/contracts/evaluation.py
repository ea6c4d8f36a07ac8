"""What a user asks of an evaluation."""

from typing import Annotated

from pydantic import Field

from shared.contracts.base import Int, Reference
from shared.contracts.scheduling import Scheduling


class EvaluationSpec(Scheduling):
    """Answer a data set's questions with a model, and with a baseline beside it."""

    dataset: Reference
    model_name: Reference
    baseline_model: Reference | None = None
    batch_size: Annotated[Int, Field(ge=1, le=1024)] = 32
    max_new_tokens: Annotated[Int, Field(ge=1, le=8192)] = 64
    max_rows: Annotated[Int, Field(ge=1, le=1_000_000)] | None = None
    """Only the first rows are asked when given."""
    cutoff_len: Annotated[Int, Field(ge=8, le=131_072)] = 1024
    seed: Annotated[Int, Field(ge=0, le=2**31 - 1)] = 42
    max_retries: Annotated[Int, Field(ge=0, le=20)] = 2
