"""The recipe is the only way into the engine, and narrow."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.training.recipe import NEVER, EngineArguments, Inputs, Machine, Places, engine_arguments
from shared.contracts.scheduling import SCHEDULING_FIELDS
from shared.contracts.training import TrainingSpec

NAMES = {"modelName": "users-model", "dataset": "users-data", "outputName": "users-output"}
INPUTS = Inputs(model=Path("/srv/model"), model_bytes=1000, template="chatml", data=Path("/srv/data"))
PLACES = Places(output=Path("/srv/output"), cache=Path("/srv/cache"))
SWEEP: dict[str, tuple[Any, ...]] = {
    "stage": ("sft", "pt"),
    "finetuningType": ("lora", "full"),
    "maxSteps": (None, 7),
    "saveSteps": (None, 3),
    "validationDataset": (None, "users-held-out"),
    "lrSchedulerType": ("linear", "cosine", "constant", "constant_with_warmup"),
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
    elsewhere = {"model_name", "dataset", "validation_dataset", "output_name", "max_retries", "keep_checkpoints"}
    renamed = {
        "epochs": "num_train_epochs", "batch_size": "per_device_train_batch_size", "warmup_ratio": "warmup_steps",
    }  # fmt: skip
    for name in TrainingSpec.model_fields.keys() - elsewhere - SCHEDULING_FIELDS:
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
