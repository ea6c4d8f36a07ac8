"""Options of stage ppo, by LLaMA-Factory's names: what answers are made, and how they are learnt from."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from shared.contracts.base import Contract, Int, Number, Reference

_STAGE = "ppo"
_METHODS = ("lora", "freeze", "full")


class PpoOptions(Contract):
    """A model answers the questions of its data, a reward model rates the answers, and the model learns from that."""

    reward_model: Reference | None = None
    """The version that rates: of stage `rm`, and of the same base as `modelName`."""
    reward_model_type: Literal["lora", "full"] | None = None
    """`lora`: an adapter on the very base that is trained, loaded with it; `full`: a model of its own, beside it;
    when absent, `lora` where it can be."""
    ppo_buffer_size: Annotated[Int, Field(ge=1, le=1024)] = 1
    """Batches that are answered before they are learnt from."""
    ppo_epochs: Annotated[Int, Field(ge=1, le=100)] = 4
    """How often a step learns from its answers."""
    ppo_score_norm: bool = False
    """Scale the reward by its running mean and deviation."""
    ppo_target: Annotated[Number, Field(gt=0, le=1000)] = 6.0
    """The distance (KL) from the model as it was that the penalty steers for."""
    ppo_whiten_rewards: bool = False
    max_new_tokens: Annotated[Int, Field(ge=1, le=8192)] = 256
    """Longest answer."""
    do_sample: bool = True
    temperature: Annotated[Number, Field(gt=0, le=10)] = 1.0
    """Answers drawn otherwise than by default are not the model's own, and the distance is measured less well."""
    top_p: Annotated[Number, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[Int, Field(ge=0, le=1_000_000)] = 0
    repetition_penalty: Annotated[Number, Field(gt=0, le=10)] = 1.0

    @field_validator("stage", check_fields=False)
    @classmethod
    def _stage_can_validate(cls, value: str, info: ValidationInfo) -> str:
        if value == _STAGE and (info.data.get("validation_dataset") or info.data.get("validation_split")):
            raise ValueError("ppo evaluates nothing while it trains: drop validationDataset and validationSplit")
        return value

    @field_validator("finetuning_type", check_fields=False)
    @classmethod
    def _method_fits_stage(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("stage") == _STAGE and value not in _METHODS:
            raise ValueError("stage ppo trains with lora, freeze or full")
        return value

    @field_validator("quantization_bit", check_fields=False)
    @classmethod
    def _weights_are_whole(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("stage") == _STAGE:
            raise ValueError("does not go with stage ppo")
        return value

    @model_validator(mode="before")
    @classmethod
    def _absence_of_a_rater_is_looked_at(cls, fields: Any) -> Any:
        """A default would be refused under its Python name."""
        if not isinstance(fields, dict) or fields.get("stage") != _STAGE or "reward_model" in fields:
            return fields
        return {"rewardModel": None, **fields}

    @field_validator("reward_model")
    @classmethod
    def _answers_are_rated(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("stage") == _STAGE:
            raise ValueError("stage ppo needs one: name a version that stage rm made")
        return value

    @field_validator("reward_model_type")
    @classmethod
    def _shared_base_is_of_lora(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "lora" and info.data.get("finetuning_type") != value:
            raise ValueError("lora needs finetuningType lora, which leaves the base as it is; name full")
        return value
