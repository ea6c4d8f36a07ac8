"""What a user asks of a training job."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from shared.contracts.base import Int, Name, Number, Reference
from shared.contracts.mixing import DataOptions
from shared.contracts.parallel import Parallel, Strategy, batches_of
from shared.contracts.reinforcement import PpoOptions
from shared.contracts.safeguards import SafeguardOptions
from shared.contracts.scheduling import Scheduling
from shared.contracts.tuning import (
    EngineOptions,
    ImageOptions,
    ObjectiveOptions,
    PreferenceLoss,
    RowOptions,
    WeightOptions,
)


class Stage(StrEnum):
    """LLaMA-Factory's training stages that this release runs."""

    PT = "pt"
    SFT = "sft"
    RM = "rm"
    PPO = "ppo"
    DPO = "dpo"
    KTO = "kto"

    @property
    def has_value_head(self) -> bool:
        """Whether what it trains puts a number to an answer."""
        return self is Stage.RM


class FinetuningType(StrEnum):
    """Which weights are trained."""

    LORA = "lora"
    OFT = "oft"
    FREEZE = "freeze"
    FULL = "full"

    @property
    def makes_adapter(self) -> bool:
        """Whether what it trains goes on top of the base instead of replacing it."""
        return self in {FinetuningType.LORA, FinetuningType.OFT}


class Scheduler(StrEnum):
    """Shape of the learning rate over the run."""

    LINEAR = "linear"
    COSINE = "cosine"
    CONSTANT = "constant"
    CONSTANT_WITH_WARMUP = "constant_with_warmup"


_PREFERENCES = (Stage.DPO, Stage.KTO)
_WITH_CHECKPOINTS = tuple(stage for stage in Stage if stage is not Stage.PPO)
"""LLaMA-Factory's loop of stage ppo goes on from no checkpoint, evaluates nothing, and cannot do a step again."""


def _only(decider: str, fitting: Sequence[str], *options: str) -> dict[str, tuple[str, Sequence[str]]]:
    return dict.fromkeys(options, (decider, fitting))


_BELONGS_TO = {
    **_only("stage", [Stage.DPO], "pref_loss", "dpo_label_smoothing", "simpo_gamma"),
    **_only("stage", _PREFERENCES, "pref_beta", "pref_ftx"),
    **_only("stage", [Stage.KTO], "kto_chosen_weight", "kto_rejected_weight"),
    **_only(
        "stage", [Stage.PPO], "reward_model", "reward_model_type", "ppo_buffer_size", "ppo_epochs", "ppo_score_norm",
        "ppo_target", "ppo_whiten_rewards", "max_new_tokens", "do_sample", "temperature", "top_p", "top_k",
        "repetition_penalty",
    ),
    **_only(
        "stage", _WITH_CHECKPOINTS, "save_steps", "keep_checkpoints", "eval_steps", "early_stopping_evaluations",
        "plateau_evaluations", "plateau_factor", "keep_best", "loss_watchdog", "max_rollbacks", "oom_recovery",
        "memory_limit_gb", "memory_guard_at", "gpu_memory_guard_at", "parallel",
    ),
    **_only("stage", [Stage.SFT], "neat_packing", "train_on_prompt", "mask_history"),
    **_only("stage", [Stage.SFT], *ImageOptions.model_fields),
    **_only("stage", [Stage.PT, Stage.SFT], "packing"),
    **_only("finetuning_type", [FinetuningType.LORA], "use_rslora", "use_dora", "pissa_init", "loraplus_lr_ratio",
           "quantization_bit"),
    **_only("finetuning_type", [FinetuningType.OFT], "oft_rank", "oft_block_size"),
    **_only(
        "finetuning_type", [FinetuningType.FREEZE],
        "freeze_trainable_layers", "freeze_trainable_modules", "freeze_extra_modules",
    ),
}  # fmt: skip
"""Options that only some stages or methods have; those of a plain LoRA are let be, so that one request fits several."""


_MOST_PIXELS = 768 * 768
"""Of an image, when nothing is said."""
MOST_ACCUMULATED = 4096
"""Forward passes before an optimizer step."""


class Essentials(DataOptions):
    """What every fine-tuning has, whatever its stage and method."""

    model_name: Reference
    stage: Stage = Stage.SFT
    finetuning_type: FinetuningType = FinetuningType.LORA
    batch_size: Annotated[Int, Field(ge=1, le=1024)] = 4
    """Rows per forward pass, at most; `parallel` says how several processes share them."""
    learning_rate: Annotated[Number, Field(gt=0, le=1)] = 1e-4
    epochs: Annotated[Number, Field(gt=0, le=1000)] = 3.0

    max_steps: Annotated[Int, Field(ge=1, le=10_000_000)] | None = None
    """Overrides `epochs` when given."""
    logging_steps: Annotated[Int, Field(ge=1, le=100_000)] = 10
    save_steps: Annotated[Int, Field(ge=1, le=10_000_000)] | None = None
    """Optimizer steps between checkpoints; when absent, ten a run, but none within seconds of the one before."""
    keep_checkpoints: Annotated[Int, Field(ge=1, le=100)] = 2
    eval_steps: Annotated[Int, Field(ge=1, le=10_000_000)] | None = None
    """Optimizer steps between evaluations on what is held out; a tenth of the run when absent."""
    cutoff_len: Annotated[Int, Field(ge=8, le=131_072)] = 1024
    """Tokens a row may have; the rest is cut."""
    gradient_accumulation_steps: Annotated[Int, Field(ge=1, le=MOST_ACCUMULATED)] = 1
    warmup_ratio: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    lr_scheduler_type: Scheduler = Scheduler.COSINE
    weight_decay: Annotated[Number, Field(ge=0, le=10)] = 0.0
    max_grad_norm: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    seed: Annotated[Int, Field(ge=0, le=2**31 - 1)] = 42
    output_name: Name | None = None
    """Name of the model this job makes a version of; `<model>-<stage>-<finetuningType>` when absent."""
    max_retries: Annotated[Int, Field(ge=0, le=20)] = 2
    """New attempts after failures that are not the user's."""

    @field_validator("eval_steps")
    @classmethod
    def _eval_needs_data(cls, value: int | None, info: ValidationInfo) -> int | None:
        return _with_validation(value, info)


class TrainingSpec(
    Scheduling,
    SafeguardOptions,
    EngineOptions,
    ImageOptions,
    RowOptions,
    PpoOptions,
    ObjectiveOptions,
    WeightOptions,
    Essentials,
):
    """A fine-tuning job. Only these fields reach the engine; paths and engine switches are the server's."""

    @property
    def processes(self) -> int:
        """That train together."""
        return self.parallel.processes if self.parallel else 1

    @property
    def own_batches(self) -> tuple[int, int]:
        """Rows at a time and accumulation of each process."""
        return batches_of(self.batch_size, self.gradient_accumulation_steps, self.processes)

    @field_validator(*_BELONGS_TO)
    @classmethod
    def _has_an_effect(cls, value: Any, info: ValidationInfo) -> Any:
        option = str(info.field_name)
        decider, fitting = _BELONGS_TO[option]
        chosen = info.data.get(decider)
        if chosen is not None and chosen not in fitting and value != cls.model_fields[option].default:
            raise ValueError(f"belongs to {to_camel(decider)} {' or '.join(fitting)}, not to {chosen}")
        return value

    @field_validator("pissa_init")
    @classmethod
    def _pissa_has_one_start(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("stage") in (*_PREFERENCES, Stage.PPO):
            raise ValueError("does not go with stages that compare with the model as it was")
        if value and info.data.get("stage") is Stage.RM:
            raise ValueError("does not go with stage rm")
        if value and (info.data.get("use_rslora") or info.data.get("use_dora")):
            raise ValueError("does not go with useRslora or useDora: its adapter could not be told from the base")
        return value

    @field_validator("quantization_bit")
    @classmethod
    def _quantized_weights_stay(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("pissa_init"):
            raise ValueError("does not go with pissaInit, which changes the base's weights")
        return value

    @field_validator("parallel")
    @classmethod
    def _goes_with_several(cls, value: Parallel | None, info: ValidationInfo) -> Parallel | None:
        if value is not None:
            _require_shareable(value, info.data)
        return value

    @field_validator("step_retries")
    @classmethod
    def _one_process_does_not_step_again(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("parallel") and value not in {0, cls.model_fields["step_retries"].default}:
            raise ValueError("does not go with parallel: one process cannot do a step of several again; drop it")
        return value

    @field_validator("gpus")
    @classmethod
    def _gpus_have_a_process_each(cls, value: int, info: ValidationInfo) -> int:
        parallel: Parallel | None = info.data.get("parallel")
        processes = parallel.processes if parallel else 1
        if value > 1 and value != processes:
            raise ValueError(f'takes parallel {{"processes": {value}}}: a process computes on one GPU')
        if value == 1 and processes > 1:
            raise ValueError(f"1 is too few for {processes} processes: ask for {processes}, or for 0 to use the CPU")
        return value

    @field_validator("mask_history")
    @classmethod
    def _history_is_learnt_or_not(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("train_on_prompt"):
            raise ValueError("does not go with trainOnPrompt: one hides what the other learns")
        return value

    @field_validator("dpo_label_smoothing")
    @classmethod
    def _smoothing_is_of_sigmoid(cls, value: float, info: ValidationInfo) -> float:
        if value and info.data.get("pref_loss") is not PreferenceLoss.SIGMOID:
            raise ValueError("belongs to prefLoss sigmoid")
        return value

    @field_validator("image_min_pixels")
    @classmethod
    def _smallest_is_below_largest(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value > (info.data.get("image_max_pixels") or _MOST_PIXELS):
            raise ValueError(f"must not be above imageMaxPixels, {_MOST_PIXELS} when absent")
        return value

    @field_validator("freeze_multi_modal_projector")
    @classmethod
    def _lora_lets_the_projector_be(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value is False and info.data.get("finetuning_type") is FinetuningType.LORA:
            raise ValueError("lora never changes the projector: drop it, or train with finetuningType full")
        return value

    @field_validator("freeze_language_model")
    @classmethod
    def _something_is_trained(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        others = ("freeze_vision_tower", "freeze_multi_modal_projector")
        if value and all(info.data.get(name) is not False for name in others):
            raise ValueError("leaves nothing to train: set freezeVisionTower to false as well")
        return value

    @field_validator("keep_best")
    @classmethod
    def _best_needs_data(cls, value: bool, info: ValidationInfo) -> bool:
        _with_validation(1 if value else None, info)
        return value

    @field_validator("early_stopping_evaluations", "plateau_evaluations")
    @classmethod
    def _stopping_needs_data(cls, value: int | None, info: ValidationInfo) -> int | None:
        return _with_validation(value, info)


def _require_shareable(parallel: Parallel, known: Mapping[str, Any]) -> None:
    """ValueError for what several processes, or this strategy of theirs, cannot do."""
    if "batch_size" in known and "gradient_accumulation_steps" in known:
        batches_of(known["batch_size"], known["gradient_accumulation_steps"], parallel.processes)
    if known.get("pissa_init"):
        raise ValueError("does not go with pissaInit: each process would begin from its own components")
    if parallel.strategy is not Strategy.DDP and known.get("quantization_bit"):
        raise ValueError(f"strategy {parallel.strategy} does not go with quantizationBit; ddp does")
    if parallel.strategy is not Strategy.DDP and known.get("stage") is Stage.RM:
        raise ValueError(f"strategy {parallel.strategy} does not go with stage rm; ddp does")


def _with_validation(value: int | None, info: ValidationInfo) -> int | None:
    if value is not None and not (info.data.get("validation_dataset") or info.data.get("validation_split")):
        raise ValueError("needs validationDataset or validationSplit: say what to evaluate on")
    return value


def unused_options(spec: Mapping[str, Any]) -> set[str]:
    """Names (camelCase) of what has no effect in a stored spec: options of other stages and methods."""
    return {
        to_camel(option)
        for option, (decider, fitting) in _BELONGS_TO.items()
        if spec.get(to_camel(decider)) not in fitting
    }
