"""What we hand to DeepSpeed and FSDP is what accelerate and transformers read."""

from pathlib import Path

import pytest
from accelerate.utils.deepspeed import HfDeepSpeedConfig
from llamafactory.hparams import TrainingArguments

from services.training.planning.processes import alone, shared_out
from services.training.planning.rehearsal import Footprint
from services.training.ranks.presets import strategy_arguments, zero_configuration
from shared.contracts.parallel import Parallel, Strategy
from shared.contracts.training import TrainingSpec


@pytest.mark.parametrize("stage", range(4))
def test_accelerate_reads_the_stage_and_finds_nothing_offloaded(stage: int) -> None:
    read = HfDeepSpeedConfig(zero_configuration(stage))
    assert (read.is_zero2(), read.is_zero3(), read.is_offload()) == (stage == 2, stage == 3, False)
    assert read.get_value("zero_optimization.stage") == stage


def test_the_trainer_reads_fsdp_as_whole_shards_wrapped_by_layer(tmp_path: Path) -> None:
    told = strategy_arguments(Strategy.FSDP, has_gpu=True)
    read = TrainingArguments(
        output_dir=str(tmp_path), fsdp=told["fsdp"], fsdp_config=told["fsdp_config"], report_to="none"
    ).fsdp_plugin_args
    assert read.items() >= {
        "fsdp_version": 1, "reshard_after_forward": "full_shard", "use_orig_params": True,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "sync_module_states": True,
    }.items()  # fmt: skip


def test_a_plan_shares_out_what_the_strategy_does() -> None:
    whole = Footprint(parameters=10, trainable=10, weights=40, gradients=40, optimizer=80, activations=7)
    spec = TrainingSpec.model_validate(
        {"modelName": "m", "dataset": "d", "gradientAccumulationSteps": 4, "parallel": {"processes": 2}}
    )
    assert shared_out(whole, None) == whole
    assert shared_out(whole, spec.parallel).gradients == 80
    fsdp = shared_out(whole, Parallel(processes=2, strategy=Strategy.FSDP))
    assert (fsdp.weights, fsdp.gradients, fsdp.optimizer, fsdp.activations) == (20, 20, 40, 7)
    single = alone(spec)
    assert (single.parallel, single.batch_size, single.gradient_accumulation_steps) == (None, 4, 2)
