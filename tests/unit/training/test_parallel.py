"""Several processes share a step's rows evenly, or the request is refused by the field that is wrong."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.training.arguments import EngineArguments
from services.training.ranks.presets import shares_of, strategy_arguments, zero_configuration
from services.training.recipe import Inputs, Machine, Places, Unsupported, engine_arguments
from shared.contracts.parallel import Strategy, batches_of
from shared.contracts.training import TrainingSpec

NAMES = {"modelName": "m", "dataset": "d"}
INPUTS = Inputs(model=Path("/srv/model"), model_bytes=1000, template="chatml", data=Path("/srv/data"))
PLACES = Places(output=Path("/srv/output"), cache=Path("/srv/cache"))
EVERYTHING = Machine(has_gpu=True, has_bf16=True, has_quantizer=True, has_deepspeed=True)


def arguments(machine: Machine, **fields: Any) -> EngineArguments:
    return engine_arguments(TrainingSpec.model_validate({**NAMES, **fields}), INPUTS, PLACES, machine)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 6, 7, 16])
@pytest.mark.parametrize("accumulation", [1, 2, 5, 8])
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
def test_the_global_batch_stays_and_nobody_takes_more_rows_at_once(
    batch_size: int, accumulation: int, processes: int
) -> None:
    rows = batch_size * accumulation
    if rows % processes:
        with pytest.raises(ValueError, match=rf"multiple of {processes}"):
            batches_of(batch_size, accumulation, processes)
        return
    at_once, times = batches_of(batch_size, accumulation, processes)
    assert at_once * times * processes == rows
    assert 1 <= at_once <= batch_size


def test_one_process_is_given_what_was_asked_and_several_accumulate_less_first() -> None:
    assert batches_of(4, 8, 1) == (4, 8)
    assert batches_of(4, 8, 2) == (4, 4)
    assert batches_of(4, 1, 2) == (2, 1)
    found = arguments(Machine(), batchSize=4, gradientAccumulationSteps=8, parallel={"processes": 4})
    assert (found["per_device_train_batch_size"], found["gradient_accumulation_steps"]) == (4, 2)
    assert found["ddp_backend"] == "gloo"


@pytest.mark.parametrize(
    ("fields", "param", "advice"),
    [
        ({"parallel": {"processes": 3}}, "parallel", "multiple of 3"),
        ({"parallel": {"processes": 1}}, "processes", "greater than or equal to 2"),
        ({"parallel": {"processes": 2, "strategy": "zero4"}}, "strategy", "'zero3' or 'fsdp'"),
        ({"parallel": {"processes": 2}, "pissaInit": True}, "parallel", "pissaInit"),
        ({"parallel": {"processes": 2, "strategy": "fsdp"}, "quantizationBit": 4}, "parallel", "ddp does"),
        ({"parallel": {"processes": 2, "strategy": "zero3"}, "stage": "rm"}, "parallel", "ddp does"),
        ({"parallel": {"processes": 2}, "stage": "ppo", "rewardModel": "r"}, "parallel", "not to ppo"),
        ({"parallel": {"processes": 2}, "stepRetries": 5}, "stepRetries", "drop it"),
        ({"parallel": {"processes": 2}, "gpus": 1}, "gpus", "ask for 2"),
        ({"parallel": {"processes": 2}, "gpus": 4}, "gpus", '"processes": 4'),
        ({"gpus": 2}, "gpus", '"processes": 2'),
        ({"gpus": 0.5}, "gpus", "whole GPUs"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field_and_says_what_can(
    fields: dict[str, Any], param: str, advice: str
) -> None:
    with pytest.raises(ValidationError) as fault:
        TrainingSpec.model_validate({**NAMES, **fields})
    (error,) = fault.value.errors()
    assert error["loc"][-1] == param
    assert advice in error["msg"]


@pytest.mark.parametrize(("gpus", "processes"), [(1, None), (2, 2), (0, 2)])
def test_gpus_and_processes_that_fit_each_other_are_taken(gpus: int, processes: int | None) -> None:
    parallel = processes and {"processes": processes}
    assert TrainingSpec.model_validate({**NAMES, "gpus": gpus, "parallel": parallel}).processes == (processes or 1)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_strategy_is_refused_where_its_library_or_gpu_is_missing(strategy: Strategy) -> None:
    parallel = {"processes": 2, "strategy": strategy.value}
    assert arguments(EVERYTHING, parallel=parallel).items() >= strategy_arguments(strategy, has_gpu=True).items()
    if strategy.zero_stage is not None:
        with pytest.raises(Unsupported, match=r"install imts\[deepspeed\]"):
            arguments(Machine(has_gpu=True), parallel=parallel)
    if strategy is Strategy.FSDP:
        with pytest.raises(Unsupported, match="needs a GPU for each process"):
            arguments(Machine(has_deepspeed=True), parallel=parallel)


def test_a_single_process_gets_no_argument_of_several() -> None:
    assert not {"ddp_backend", "ddp_timeout", "deepspeed", "fsdp", "fsdp_config"} & arguments(EVERYTHING).keys()


def test_each_zero_stage_leaves_batches_and_formats_to_the_trainer() -> None:
    for stage in range(4):
        found = zero_configuration(stage)
        assert found["zero_optimization"]["stage"] == stage
        assert {found[name] for name in ("train_batch_size", "gradient_clipping")} == {"auto"}
        assert found["bf16"]["enabled"] == found["fp16"]["enabled"] == "auto"
    assert zero_configuration(3)["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True


def test_the_more_a_strategy_shares_out_the_less_each_process_holds() -> None:
    held = [shares_of(strategy, 4) for strategy in Strategy]
    assert held == [(1, 1, 1), (1, 1, 1), (1, 1, 0.25), (1, 0.25, 0.25), (0.25,) * 3, (0.25,) * 3]
