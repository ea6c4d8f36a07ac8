"""The recipe is the only way into the engine, and narrow."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.training.arguments import EngineArguments
from services.training.recipe import NEVER, Inputs, Machine, Places, Rater, Unsupported, engine_arguments
from shared.contracts.safeguards import SafeguardOptions
from shared.contracts.scheduling import SCHEDULING_FIELDS
from shared.contracts.training import TrainingSpec

NAMES = {"modelName": "users-model", "dataset": "users-data", "outputName": "users-output"}
INPUTS = Inputs(model=Path("/srv/model"), model_bytes=1000, template="chatml", data=Path("/srv/data"))
PLACES = Places(output=Path("/srv/output"), cache=Path("/srv/cache"))
PPO = {"stage": "ppo", "rewardModel": "judge"}
SWEEP: dict[str, tuple[Any, ...]] = {
    "stage": ("sft", "pt", "dpo", "kto", "rm"),
    "finetuningType": ("lora", "oft", "freeze", "full"),
    "maxSteps": (None, 7),
    "saveSteps": (None, 3),
    "validationDataset": (None, "users-held-out"),
    "lrSchedulerType": ("linear", "constant_with_warmup"),
}


def arguments(machine: Machine | None = None, places: Places = PLACES, **changes: Any) -> EngineArguments:
    spec = TrainingSpec.model_validate({**NAMES, **changes})
    adapter = Path("/srv/adapter") if changes.get("finetuningType", "lora") == "lora" else None
    held_out = changes.get("validationDataset") is not None
    inputs = Inputs(
        model=INPUTS.model, model_bytes=1000, template="chatml", data=INPUTS.data, adapter=adapter,
        has_validation=held_out,
    )  # fmt: skip
    return engine_arguments(spec, inputs, places, machine or Machine())


@pytest.mark.parametrize("values", list(itertools.product(*SWEEP.values())), ids=str)
def test_only_listed_arguments_reach_the_engine_and_no_name_of_the_users(values: tuple[Any, ...]) -> None:
    found = arguments(**dict(zip(SWEEP, values, strict=True)))
    assert found.keys() <= EngineArguments.__annotations__.keys()
    assert not [value for value in found.values() if isinstance(value, str) and "users" in value]
    paths = [value for value in found.values() if isinstance(value, str) and "/" in value]
    assert all(value.startswith("/srv/") for value in paths)


def test_every_field_of_the_contract_is_accounted_for() -> None:
    """A new field must be translated here, or named as one that the engine does not see."""
    elsewhere = {"model_name", "dataset", "validation_dataset", "output_name", "max_retries", "keep_checkpoints",
                 "early_stopping_evaluations", "datasets", "mix_strategy", "validation_split"}  # fmt: skip
    renamed = {
        "epochs": "num_train_epochs", "batch_size": "per_device_train_batch_size", "warmup_ratio": "warmup_steps",
        "gradient_checkpointing": "disable_gradient_checkpointing", "precision": "bf16",
        "parallel": "ddp_backend",
    }  # fmt: skip
    watched_by_callbacks = SafeguardOptions.model_fields.keys()
    for name in TrainingSpec.model_fields.keys() - elsewhere - watched_by_callbacks - SCHEDULING_FIELDS:
        assert renamed.get(name, name) in EngineArguments.__annotations__, name


@pytest.mark.parametrize("field", ["outputDir", "deepspeed", "trustRemoteCode", "resumeFromCheckpoint", "reportTo"])
def test_an_engine_switch_is_no_field_of_the_users(field: str) -> None:
    with pytest.raises(ValidationError):
        TrainingSpec.model_validate({**NAMES, field: "/etc/passwd"})


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "https://host/model", "a/b"])
def test_a_path_or_url_is_no_name(path: str) -> None:
    with pytest.raises(ValidationError):
        TrainingSpec.model_validate({**NAMES, "modelName": path})


def test_full_fine_tuning_gets_no_argument_of_loras() -> None:
    assert not [name for name in arguments(finetuningType="full") if "lora" in name or "adapter" in name]


def test_lora_alpha_is_twice_the_rank_unless_said() -> None:
    assert arguments(loraRank=6)["lora_alpha"] == 12
    assert arguments(loraRank=6, loraAlpha=5)["lora_alpha"] == 5


def test_an_adapter_that_came_with_the_model_is_trained_on() -> None:
    assert arguments()["adapter_name_or_path"] == "/srv/adapter"


def test_a_checkpoint_is_named_and_never_searched_for() -> None:
    assert "resume_from_checkpoint" not in arguments()
    resumed = arguments(places=Places(PLACES.output, PLACES.cache, Path("/srv/output/checkpoint-4")))
    assert resumed["resume_from_checkpoint"] == "/srv/output/checkpoint-4"


def test_without_save_steps_the_trainer_times_no_checkpoint() -> None:
    assert arguments()["save_steps"] == NEVER
    assert arguments(saveSteps=5)["save_steps"] == 5


def test_evaluation_needs_held_out_rows_and_happens_ten_times_unless_said() -> None:
    assert "eval_strategy" not in arguments()
    assert arguments(validationDataset="held-out")["eval_steps"] == 0.1
    assert arguments(validationDataset="held-out", evalSteps=4)["eval_steps"] == 4


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"prefBeta": 0.3}, "prefBeta"),
        ({"stage": "kto", "prefLoss": "ipo"}, "prefLoss"),
        ({"stage": "dpo", "packing": True}, "packing"),
        ({"stage": "pt", "maskHistory": True}, "maskHistory"),
        ({"trainOnPrompt": True, "maskHistory": True}, "maskHistory"),
        ({"stage": "dpo", "prefLoss": "ipo", "dpoLabelSmoothing": 0.1}, "dpoLabelSmoothing"),
        ({"finetuningType": "full", "useDora": True}, "useDora"),
        ({"finetuningType": "lora", "oftRank": 4}, "oftRank"),
        ({"stage": "dpo", "pissaInit": True}, "pissaInit"),
        ({"stage": "rm", "pissaInit": True}, "pissaInit"),
        ({"stage": "rm", "prefBeta": 0.3}, "prefBeta"),
        ({"stage": "ppo"}, "rewardModel"),
        ({"rewardModel": "judge"}, "rewardModel"),
        ({"temperature": 0.5}, "temperature"),
        ({"stage": "rm", "ppoEpochs": 2}, "ppoEpochs"),
        ({**PPO, "finetuningType": "oft"}, "finetuningType"),
        ({**PPO, "finetuningType": "full", "rewardModelType": "lora"}, "rewardModelType"),
        ({**PPO, "rewardModel": "/srv/reward"}, "rewardModel"),
        ({**PPO, "rewardModelType": "api"}, "rewardModelType"),
        ({**PPO, "validationSplit": 0.1}, "stage"),
        ({**PPO, "saveSteps": 10}, "saveSteps"),
        ({**PPO, "lossWatchdog": "report"}, "lossWatchdog"),
        ({**PPO, "memoryLimitGb": 10}, "memoryLimitGb"),
        ({**PPO, "gpuMemoryGuardAt": 0.9}, "gpuMemoryGuardAt"),
        ({**PPO, "pissaInit": True}, "pissaInit"),
        ({**PPO, "parallel": {"processes": 2}}, "parallel"),
        ({**PPO, "quantizationBit": 4}, "quantizationBit"),
        ({"useRslora": True, "pissaInit": True}, "pissaInit"),
        ({"quantizationBit": 4, "pissaInit": True}, "quantizationBit"),
        ({"quantizationBit": 4, "finetuningType": "full"}, "quantizationBit"),
        ({"quantizationBit": 5}, "quantizationBit"),
        ({"finetuningType": "freeze", "freezeTrainableModules": ["../mlp"]}, "freezeTrainableModules"),
        ({"earlyStoppingEvaluations": 2}, "earlyStoppingEvaluations"),
    ],
)
def test_an_option_that_would_be_ignored_or_contradicts_another_is_refused_by_name(
    changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        TrainingSpec.model_validate({**NAMES, **changes})
    assert [error["loc"][0] for error in refused.value.errors()] == [param]


def test_a_reward_model_is_loaded_with_the_base_where_it_can_be() -> None:
    spec = TrainingSpec.model_validate({**NAMES, **PPO})
    own = Rater(Path("/srv/model"), Path("/srv/reward"), shares_base=True)
    found = engine_arguments(spec, replace(INPUTS, rater=own), PLACES, Machine())
    assert (found["reward_model_type"], found["reward_model"]) == ("lora", "/srv/reward")
    assert "reward_model_adapters" not in found
    apart = spec.model_copy(update={"reward_model_type": "full"})
    for rater, adapters in ((own, "/srv/reward"), (Rater(Path("/srv/model"), None, shares_base=False), None)):
        found = engine_arguments(apart, replace(INPUTS, rater=rater), PLACES, Machine())
        assert (found["reward_model_type"], found["reward_model"]) == ("full", "/srv/model")
        assert found.get("reward_model_adapters") == adapters


def test_ppo_is_held_to_base_and_adapter_together() -> None:
    assert arguments(stage="ppo", rewardModel="judge")["ref_model_adapters"] == "/srv/adapter"


def test_an_option_left_at_its_default_belongs_anywhere() -> None:
    TrainingSpec.model_validate({**NAMES, "stage": "pt", "prefBeta": 0.1, "neatPacking": False})


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo", "kto_pair"])
def test_what_an_adapter_learnt_before_belongs_to_the_reference(loss: str) -> None:
    found = arguments(stage="dpo", prefLoss=loss)
    assert (found["ref_model"], found["ref_model_adapters"]) == ("/srv/model", "/srv/adapter")


@pytest.mark.parametrize("loss", ["orpo", "simpo"])
def test_a_loss_without_reference_loads_none(loss: str) -> None:
    assert "ref_model" not in arguments(stage="dpo", prefLoss=loss)


def test_the_rank_of_oft_wins_over_its_block_size() -> None:
    assert arguments(finetuningType="oft")["oft_block_size"] == 32
    assert arguments(finetuningType="oft", oftRank=8)["oft_block_size"] == 0


def test_neat_packing_packs() -> None:
    assert arguments(neatPacking=True)["packing"] is True
    assert "packing" not in arguments()


@pytest.mark.parametrize(("asked", "is_off"), [("auto", True), ("on", False), ("off", True)])
def test_activations_are_computed_again_when_asked(asked: str, is_off: bool) -> None:
    assert arguments(gradientCheckpointing=asked)["disable_gradient_checkpointing"] is is_off


@pytest.mark.parametrize(
    ("machine", "asked"),
    [(Machine(), "fp16"), (Machine(), "bf16"), (Machine(has_gpu=True, has_bf16=False), "bf16")],
)
def test_a_precision_that_the_machine_lacks_is_refused(machine: Machine, asked: str) -> None:
    with pytest.raises(Unsupported, match="leave"):
        arguments(machine, precision=asked)


def test_a_quantized_base_needs_the_library_for_it_and_has_a_quantized_reference() -> None:
    with pytest.raises(Unsupported, match="drop it"):
        arguments(Machine(), quantizationBit=4)
    found = arguments(Machine(has_quantizer=True), quantizationBit=8, stage="dpo")
    assert (found["quantization_bit"], found["ref_model_quantization_bit"]) == (8, 8)


@pytest.mark.parametrize(
    ("machine", "precision"),
    [(Machine(), (False, False)), (Machine(True, True), (True, False)), (Machine(True, False), (False, True))],
)
def test_precision_follows_the_machine(machine: Machine, precision: tuple[bool, bool]) -> None:
    found = arguments(machine)
    assert (found["bf16"], found["fp16"]) == precision


def test_the_web_process_and_the_recipe_load_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'llamafactory', 'pyarrow', 'peft', 'datasets'}"
    code = f"import services.training.app, services.training.recipe, sys; print(*({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("fields", "param", "why"),
    [
        ({"stage": "dpo", "imageMaxPixels": 4096}, "imageMaxPixels", "belongs to stage sft"),
        ({"imageMaxPixels": 1000}, "imageMaxPixels", "greater than or equal to 1024"),
        ({"imageMaxPixels": 2048, "imageMinPixels": 4096}, "imageMinPixels", "must not be above imageMaxPixels"),
        ({"imageMinPixels": 600_000}, "imageMinPixels", "must not be above imageMaxPixels, 589824 when absent"),
        ({"freezeLanguageModel": True}, "freezeLanguageModel", "leaves nothing to train"),
        ({"freezeMultiModalProjector": False}, "freezeMultiModalProjector", "lora never changes the projector"),
    ],
)
def test_an_option_of_images_that_makes_no_sense_is_refused(fields: dict[str, Any], param: str, why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainingSpec.model_validate({**NAMES, **fields})
    (error,) = caught.value.errors()
    assert error["loc"] == (param,)
    assert why in error["msg"]


def test_an_option_of_images_is_told_only_when_it_was_said() -> None:
    options = {"image_max_pixels", "image_min_pixels", "freeze_vision_tower", "freeze_multi_modal_projector"}
    assert not options & arguments().keys()
    told = arguments(imageMaxPixels=4096, imageMinPixels=64, freezeVisionTower=False, freezeLanguageModel=True)
    assert (told["image_max_pixels"], told["image_min_pixels"]) == (4096, 64)
    assert (told["freeze_vision_tower"], told["freeze_language_model"]) == (False, True)
    whole = arguments(finetuningType="full", freezeMultiModalProjector=False)
    assert whole["freeze_multi_modal_projector"] is False
