"""The one translation from what a user asked to LLaMA-Factory's arguments; pure, and the only way into the engine."""

from dataclasses import dataclass
from pathlib import Path

from services.training.arguments import EngineArguments
from services.training.options import (
    image_arguments,
    needs_reference,
    objective_arguments,
    row_arguments,
    weight_arguments,
)
from services.training.ranks.presets import strategy_arguments
from shared.contracts.parallel import Strategy
from shared.contracts.training import TrainingSpec
from shared.contracts.tuning import Precision

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
    has_quantizer: bool = False
    """Whether bitsandbytes is there."""
    has_deepspeed: bool = False


class Unsupported(ValueError):
    """An option that needs what this machine does not have."""


@dataclass(frozen=True, slots=True)
class Rater:
    """The reward model of stage ppo."""

    model: Path
    adapter: Path | None
    shares_base: bool
    """Whether it is an adapter on the very base that is trained, whose weights stay as they are."""


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
    rater: Rater | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where the engine may write, and where it goes on from."""

    output: Path
    cache: Path
    checkpoint: Path | None = None


def precision_of(spec: TrainingSpec, machine: Machine) -> Precision:
    """The number format to compute in; Unsupported when the machine lacks the one asked for."""
    asked = spec.precision
    if asked is Precision.AUTO:
        if not machine.has_gpu:
            return Precision.FP32
        return Precision.BF16 if machine.has_bf16 else Precision.FP16
    if asked is not Precision.FP32 and not machine.has_gpu:
        raise Unsupported(f"precision {asked} needs a GPU; leave it to auto, or ask for fp32")
    if asked is Precision.BF16 and not machine.has_bf16:
        raise Unsupported("this GPU does not compute in bf16; leave precision to auto, or ask for fp16")
    return asked


def engine_arguments(spec: TrainingSpec, inputs: Inputs, places: Places, machine: Machine) -> EngineArguments:
    """All of `run_exp`'s arguments: numbers and choices from the user, names and paths from the server."""
    _require_machine(spec, machine)
    precision = precision_of(spec, machine)
    rows, times = spec.own_batches
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
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=times,
        disable_gradient_checkpointing=not _recomputes(spec, inputs),
        learning_rate=spec.learning_rate,
        lr_scheduler_type=spec.lr_scheduler_type.value,
        warmup_steps=spec.warmup_ratio,
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        num_train_epochs=spec.epochs,
        seed=spec.seed,
        bf16=precision is Precision.BF16,
        fp16=precision is Precision.FP16,
        logging_steps=spec.logging_steps,
        # A loss that is not a number is news, not noise to be averaged away.
        logging_nan_inf_filter=False,
        # Rows that may not see each other are told apart by a mask that is no count of tokens; their block is full.
        include_num_input_tokens_seen="all" if spec.neat_packing else "non_padding",
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
    arguments |= _parallel_arguments(spec, machine)
    arguments |= weight_arguments(spec)
    arguments |= objective_arguments(spec)
    arguments |= row_arguments(spec)
    arguments |= image_arguments(spec)
    return _with_evaluation(_with_adapter(arguments, spec, inputs), spec, inputs)


def _require_machine(spec: TrainingSpec, machine: Machine) -> None:
    if spec.quantization_bit is not None and not machine.has_quantizer:
        raise Unsupported("quantizationBit needs bitsandbytes, which this worker has not; drop it")
    if spec.gpu_memory_guard_at is not None and not machine.has_gpu:
        raise Unsupported("gpuMemoryGuardAt needs a GPU, which this worker has not; drop it, or set memoryLimitGb")


def _parallel_arguments(spec: TrainingSpec, machine: Machine) -> EngineArguments:
    """How several processes share the work; Unsupported when this machine cannot do it so."""
    if spec.parallel is None:
        return {}
    strategy = spec.parallel.strategy
    if strategy is Strategy.FSDP and not machine.has_gpu:
        # On a CPU accelerate would say nothing and keep the whole model in each process.
        raise Unsupported("parallel.strategy fsdp needs a GPU for each process: ask for gpus, or for ddp")
    if strategy.zero_stage is not None and not machine.has_deepspeed:
        raise Unsupported(
            f"parallel.strategy {strategy} needs DeepSpeed, which this worker has not: install imts[deepspeed] there, "
            "or ask for ddp"
        )
    return strategy_arguments(strategy, has_gpu=machine.has_gpu)


def _with_adapter(arguments: EngineArguments, spec: TrainingSpec, inputs: Inputs) -> EngineArguments:
    """An adapter that came with the model is trained on; what is learnt is measured against the two together."""
    if inputs.rater is not None:
        arguments |= _rater_arguments(spec, inputs.rater)
    if inputs.adapter is not None:
        arguments["adapter_name_or_path"] = str(inputs.adapter)
        if needs_reference(spec):
            # Without this the reference is the base alone, and all that the adapter learnt before counts as drift.
            arguments["ref_model"] = str(inputs.model)
            arguments["ref_model_adapters"] = str(inputs.adapter)
            if spec.quantization_bit is not None:
                arguments["ref_model_quantization_bit"] = spec.quantization_bit
    return arguments


def _rater_arguments(spec: TrainingSpec, rater: Rater) -> EngineArguments:
    """Loaded once with the base where it can be; else beside it."""
    if rater.shares_base and spec.reward_model_type != "full":
        return EngineArguments(reward_model_type="lora", reward_model=str(rater.adapter))
    found = EngineArguments(reward_model_type="full", reward_model=str(rater.model))
    if rater.adapter is not None:
        found["reward_model_adapters"] = str(rater.adapter)
    return found


def _with_evaluation(arguments: EngineArguments, spec: TrainingSpec, inputs: Inputs) -> EngineArguments:
    if not inputs.has_validation:
        return arguments
    arguments["eval_dataset"] = VALIDATION
    arguments["per_device_eval_batch_size"] = arguments["per_device_train_batch_size"]
    arguments["eval_strategy"] = "steps"
    # Below 1 the trainer reads it as a share of the run.
    arguments["eval_steps"] = spec.eval_steps or 1 / EVALUATIONS_PER_RUN
    return arguments


def _recomputes(spec: TrainingSpec, inputs: Inputs) -> bool:
    if spec.gradient_checkpointing == "auto":
        return inputs.model_bytes > SMALL_MODEL_BYTES
    return spec.gradient_checkpointing == "on"
