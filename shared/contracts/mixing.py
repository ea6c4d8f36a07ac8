"""Which data sets a training reads, and how much of each."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from shared.contracts.base import Contract, Number, Reference


class MixStrategy(StrEnum):
    """How large a mix with weights is."""

    UNDER = "interleave_under"
    """As large as it can be without a row twice: the data set that is scarcest for its weight is used up."""
    OVER = "interleave_over"
    """Large enough for every row to come once: rows of the others come again."""


class MixPart(Contract):
    """One data set of a mix."""

    name: Reference
    weight: Annotated[Number, Field(gt=0, le=1_000_000)] | None = None
    """Its share of the rows, relative to the other weights; where none has one, every row comes once."""


class DataOptions(Contract):
    """The rows that are learnt, and those that are held out."""

    datasets: Annotated[list[MixPart], Field(max_length=64)] = []
    """A mix, instead of `dataset`."""
    mix_strategy: MixStrategy = MixStrategy.UNDER
    dataset: Annotated[Reference | None, Field(validate_default=True)] = None
    validation_dataset: Reference | None = None
    validation_split: Annotated[Number, Field(gt=0, lt=1)] | None = None
    """Share of the rows to hold out for validation; a row's content and `seed` decide, so equal rows stay together."""

    @staticmethod
    def role_of(index: int) -> str:
        """The role in which a worker is given the mix's data set at this place."""
        return f"train_{index + 1}"

    @field_validator("datasets")
    @classmethod
    def _parts_agree(cls, value: list[MixPart]) -> list[MixPart]:
        if len({part.name for part in value}) < len(value):
            raise ValueError("names a data set twice; give it a larger weight instead")
        if len({part.weight is None for part in value}) > 1:
            raise ValueError("give every data set a weight, or none")
        return value

    @field_validator("mix_strategy")
    @classmethod
    def _strategy_has_weights(cls, value: MixStrategy, info: ValidationInfo) -> MixStrategy:
        parts = info.data.get("datasets", [])
        if value is not MixStrategy.UNDER and not any(part.weight for part in parts):
            raise ValueError("belongs to datasets with weights")
        return value

    @field_validator("dataset")
    @classmethod
    def _one_source(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "datasets" in info.data and (value is None) is not bool(info.data["datasets"]):
            raise ValueError("name one data set here, or several in datasets")
        return value

    @field_validator("validation_split")
    @classmethod
    def _one_validation(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("validation_dataset") is not None:
            raise ValueError("does not go with validationDataset: one of them says what is held out")
        return value
