"""Brings the reward model of stage ppo to where LLaMA-Factory can read it."""

import json
from pathlib import Path

from services.training.recipe import Rater
from shared.contracts.failures import Reason
from shared.contracts.training import FinetuningType, TrainingSpec
from shared.worker.attempt import Attempt, UserFault

ROLE = "reward"


def bring_rater(attempt: Attempt, spec: TrainingSpec) -> Rater | None:
    """None for stages that have none; UserFault when it cannot be loaded as `rewardModelType` says."""
    reward = attempt.spec.models.get(ROLE)
    if reward is None:
        return None
    adapter = None if reward.adapter is None else attempt.store.materialise(reward.adapter)
    shares_base = (
        spec.finetuning_type is FinetuningType.LORA
        and adapter is not None
        and _is_lora(adapter)
        and reward.base == attempt.spec.models["base"].base
    )
    if spec.reward_model_type == "lora" and not shares_base:
        raise UserFault(
            Reason.OPTION_UNSUPPORTED,
            f"rewardModelType lora needs a lora adapter on the base that is trained; {reward.name} is none: name full",
        )
    return Rater(attempt.store.materialise(reward.base), adapter, shares_base)


def _is_lora(adapter: Path) -> bool:
    return bool(json.loads((adapter / "adapter_config.json").read_text())["peft_type"] == "LORA")
