"""The one translation from what a user asked to LLaMA-Factory's arguments; pure, and the only way into the engine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from shared.contracts.training import FinetuningType, TrainingSpec

TRAIN = "train"
VALIDATION = "validation"
"""Names of the data sets in the attempt's own `dataset_info.json`."""

NEVER = 2**31 - 1
"""A step no run reaches: checkpoints are then timed by our callback."""
SMALL_MODEL_BYTES = 256 * 2**20
"""Below this, recomputing activations costs a third of the time and saves memory nobody misses."""
EVALUATIONS_PER_RUN = 10


@dataclass(frozen=True, slots=True)
class Machine:
    """What the engine's process has to compute with."""

    has_gpu: bool = False
    has_bf16: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the attempt was given, as folders on this machine."""

    model: Path
    model_bytes: int
    template: str
    data: Path
    """Holds `dataset_info.json` and its files."""
    adapter: Path | None = None
    has_validation: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Where the engine may write, and where it goes on from."""

    output: Path
    cache: Path
    checkpoint: Path | None = None


class EngineArguments(TypedDict, total=False):
    """The allow-list: every argument of `run_exp` that this service ever sets."""

    model_name_or_path: str
    adapter_name_or_path: str
    stage: str
    do_train: bool
    finetuning_type: str
    lora_rank: int
    lora_alpha: int
    lora_dropout: float
    lora_target: str
    dataset: str
    eval_dataset: str
    dataset_dir: str
    template: str
    cutoff_len: int
    overwrite_cache: bool
    cache_dir: str
    output_dir: str
    resume_from_checkpoint: str
    per_device_train_batch_size: int
    per_device_eval_batch_size: int
    gradient_accumulation_steps: int
    disable_gradient_checkpointing: bool
    learning_rate: float
    lr_scheduler_type: str
    warmup_steps: float
    weight_decay: float
    max_grad_norm: float
    num_train_epochs: float
    max_steps: int
    seed: int
    bf16: bool
    fp16: bool
    logging_steps: int
    logging_nan_inf_filter: bool
    include_num_input_tokens_seen: Literal["non_padding"]
    save_steps: int
    eval_strategy: str
    eval_steps: float
    dataloader_pin_memory: bool
    report_to: str
    disable_tqdm: bool
    plot_loss: bool


def engine_arguments(spec: TrainingSpec, inputs: Inputs, places: Places, machine: Machine) -> EngineArguments:
    """All of `run_exp`'s arguments: numbers and choices from the user, names and paths from the server."""
    arguments = EngineArguments(
        model_name_or_path=str(inputs.model),
        stage=spec.stage.value,
        do_train=True,
        finetuning_type=spec.finetuning_type.value,
        dataset=TRAIN,
        dataset_dir=str(inputs.data),
        template=inputs.template,
        cutoff_len=spec.cutoff_len,
        overwrite_cache=True,
        cache_dir=str(places.cache),
        output_dir=str(places.output),
        per_device_train_batch_size=spec.batch_size,
        gradient_accumulation_steps=spec.gradient_accumulation_steps,
        disable_gradient_checkpointing=inputs.model_bytes <= SMALL_MODEL_BYTES,
        learning_rate=spec.learning_rate,
        lr_scheduler_type=spec.lr_scheduler_type.value,
        warmup_steps=spec.warmup_ratio,
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        num_train_epochs=spec.epochs,
        seed=spec.seed,
        bf16=machine.has_gpu and machine.has_bf16,
        fp16=machine.has_gpu and not machine.has_bf16,
        logging_steps=spec.logging_steps,
        # A loss that is not a number is news, not noise to be averaged away.
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        save_steps=spec.save_steps or NEVER,
        dataloader_pin_memory=machine.has_gpu,
        report_to="none",
        disable_tqdm=True,
        plot_loss=False,
    )
    if spec.max_steps is not None:
        arguments["max_steps"] = spec.max_steps
    if places.checkpoint is not None:
        arguments["resume_from_checkpoint"] = str(places.checkpoint)
    return _with_evaluation(_with_adapter(arguments, spec, inputs), spec, inputs)


def _with_adapter(arguments: EngineArguments, spec: TrainingSpec, inputs: Inputs) -> EngineArguments:
    """LoRA's own arguments; an adapter that came with the model is trained on, rank and all."""
    if spec.finetuning_type is not FinetuningType.LORA:
        return arguments
    arguments["lora_target"] = "all"
    arguments["lora_rank"] = spec.lora_rank
    arguments["lora_alpha"] = spec.lora_alpha or 2 * spec.lora_rank
    arguments["lora_dropout"] = spec.lora_dropout
    if inputs.adapter is not None:
        arguments["adapter_name_or_path"] = str(inputs.adapter)
    return arguments


def _with_evaluation(arguments: EngineArguments, spec: TrainingSpec, inputs: Inputs) -> EngineArguments:
    if not inputs.has_validation:
        return arguments
    arguments["eval_dataset"] = VALIDATION
    arguments["per_device_eval_batch_size"] = spec.batch_size
    arguments["eval_strategy"] = "steps"
    # Below 1 the trainer reads it as a share of the run.
    arguments["eval_steps"] = spec.eval_steps or 1 / EVALUATIONS_PER_RUN
    return arguments
