"""What a user asks of a data analysis."""

from typing import Annotated

from pydantic import Field

from shared.contracts.base import Int, Number, Reference
from shared.contracts.scheduling import Scheduling


class AnalysisSpec(Scheduling):
    """Look at a data set, with the tokenizer of the model it is meant for."""

    dataset: Reference
    test_dataset: Reference | None = None
    """Rows of `dataset` that also stand here are reported as overlap."""
    model_name: Reference | None = None
    """Whose tokenizer counts tokens; characters are counted when absent."""
    cutoff_len: Annotated[Int, Field(ge=8, le=131_072)] = 1024
    near_duplicate_threshold: Annotated[Number, Field(gt=0, lt=1)] = 0.8
    """Jaccard similarity of word shingles from which two rows count as near duplicates."""
    max_rows_per_finding: Annotated[Int, Field(ge=1, le=10_000)] = 100
    max_retries: Annotated[Int, Field(ge=0, le=20)] = 2
