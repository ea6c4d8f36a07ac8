"""What each strategy of several processes means in the engine's arguments; pure."""

from typing import Any

from services.training.arguments import EngineArguments
from shared.contracts.parallel import Strategy

TIMEOUT_S = 1800
"""Longest that a process waits for the others."""
_BUCKET = 500_000_000
"""Numbers that DeepSpeed sends at once."""


def strategy_arguments(strategy: Strategy, *, has_gpu: bool) -> EngineArguments:
    """The arguments that make it so; all batch sizes and formats in them are left to the trainer."""
    arguments = EngineArguments(ddp_timeout=TIMEOUT_S)
    if not has_gpu:
        arguments["ddp_backend"] = "gloo"
    if strategy.zero_stage is not None:
        arguments["deepspeed"] = zero_configuration(strategy.zero_stage)
    elif strategy is Strategy.FSDP:
        arguments["fsdp"] = "full_shard auto_wrap"
        # Version 2 keeps no whole state in a checkpoint, and would publish nothing.
        arguments["fsdp_config"] = {
            "version": 1, "use_orig_params": True, "sync_module_states": True, "backward_prefetch": "backward_pre",
        }  # fmt: skip
    return arguments


def zero_configuration(stage: int) -> dict[str, Any]:
    """DeepSpeed's configuration of a ZeRO stage, 0 to 3; `auto` is filled in by the trainer from its own arguments."""
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto", "initial_scale_power": 16, "loss_scale_window": 1000, "hysteresis": 2},
        "zero_optimization": {"stage": stage, **(_sharded_weights() if stage == 3 else _whole_weights())},
    }


def _whole_weights() -> dict[str, Any]:
    return {
        "allgather_partitions": True, "allgather_bucket_size": _BUCKET, "reduce_scatter": True,
        "reduce_bucket_size": _BUCKET, "overlap_comm": False, "contiguous_gradients": True,
    }  # fmt: skip


def _sharded_weights() -> dict[str, Any]:
    return {
        "reduce_bucket_size": "auto", "stage3_prefetch_bucket_size": "auto",
        "stage3_param_persistence_threshold": "auto", "overlap_comm": False, "contiguous_gradients": True,
        # Without it a checkpoint has no weights that could be published.
        "stage3_gather_16bit_weights_on_model_save": True,
    }  # fmt: skip


def shares_of(strategy: Strategy, processes: int) -> tuple[float, float, float]:
    """What one process holds of all weights, gradients and optimizer state."""
    part = 1 / processes
    match strategy:
        case Strategy.ZERO1:
            return 1.0, 1.0, part
        case Strategy.ZERO2:
            return 1.0, part, part
        case Strategy.ZERO3 | Strategy.FSDP:
            return part, part, part
        case _:
            return 1.0, 1.0, 1.0
