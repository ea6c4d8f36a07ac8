"""One attempt at a training job: resume point, data, LLaMA-Factory, result."""

import shutil
from pathlib import Path

from services.training import checkpoints
from services.training.attempt_data import bring_rows
from services.training.callbacks.control import TrainingHalted
from services.training.callbacks.memory_guard import MemoryShort
from services.training.callbacks.watchdog import Struck
from services.training.cards import ADAPTER, MODEL, made_card
from services.training.checkpoints import Checkpoint
from services.training.course import Course, Restart
from services.training.crew import Crew, RunExp
from services.training.devices import fit_threads, machine
from services.training.pissa import to_plain_lora
from services.training.publish import Made, publish
from services.training.ranks.launch import train_together
from services.training.rating import bring_rater
from services.training.recipe import Inputs, Places, Unsupported, engine_arguments
from services.training.recovery import SET_ASIDE, Recovery, is_recoverable, unwound
from services.training.weights import Weights, weights_of
from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.contracts.failures import Reason
from shared.contracts.models import ModelPurpose
from shared.contracts.training import FinetuningType, TrainingSpec
from shared.contracts.work import Artifact, Control, ModelInput
from shared.kit.memory import give_back_memory
from shared.worker.attempt import Attempt, EngineFault, Result, UserFault
from shared.worker.failures.diagnosis import LONGEST_MESSAGE, recognise
from shared.worker.failures.faults import faults_of

PISSA = "pissa_beginning"
CHECKPOINTS = "checkpoints"
_UNREADABLE = frozenset(
    {Reason.CHECKPOINT_DAMAGED, Reason.WEIGHTS_DAMAGED, Reason.WEIGHTS_MISMATCH, Reason.ADAPTER_UNUSABLE}
)
"""Of a run that goes on from a checkpoint: the model itself was read by the attempt that wrote it."""


def train(attempt: Attempt, run_exp: RunExp) -> Result:
    """Train, and publish what came of it; halted on request, end with a checkpoint and nothing published."""
    spec = TrainingSpec.model_validate(attempt.spec.spec)
    base = attempt.spec.models["base"]
    weights = weights_of(attempt.store.materialise(base.base))
    crew = Crew(attempt, spec, Course.of(attempt.work), weights, run_exp)
    try:
        source, figures = _through(attempt, crew, weights)
        crew.commands.refuse_rest()
        source, figures = _best_or(source, figures, attempt, crew)
        if spec.pissa_init:
            source = to_plain_lora(source, attempt.work / PISSA, attempt.scratch / "plain")
        name, kind = _name(spec, base), spec.finetuning_type
        card = made_card(attempt, name, "training", ADAPTER if kind.makes_adapter else MODEL, figures)
        made = Made(kind, spec.stage.has_value_head)
        artifact = publish(attempt.store, source, attempt.scratch / "published", made, base.name, card)
        return _result(spec, base, artifact, weights, figures)
    except TrainingHalted:
        return Result.of_control(attempt.control() or Control.PREEMPT)
    finally:
        shutil.rmtree(attempt.scratch, ignore_errors=True)


def _through(attempt: Attempt, crew: Crew, weights: Weights) -> tuple[Path, JsonObject]:
    """Run the trainer's loop until nothing is left to do; answers where the weights lie, and the final figures."""
    output = attempt.work / CHECKPOINTS
    output.mkdir(parents=True, exist_ok=True)
    recovery = Recovery(attempt, crew.spec, crew.course, output)
    checkpoint = recovery.begin()
    inputs: Inputs | None = None
    while not (checkpoint is not None and checkpoint.is_final(crew.course.max_steps)):
        inputs = inputs or _inputs(attempt, crew.spec, weights, attempt.scratch / "data")
        places = Places(output, attempt.scratch / "cache", checkpoint.path if checkpoint else None)
        fault = _until_fault(checkpoint, attempt, crew, inputs, places)
        if fault is None:
            return output, crew.figures()
        give_back_memory()
        checkpoint = recovery.after(fault)
    # The trainer would take one step too many when it resumes a finished run in the middle of an epoch.
    return checkpoint.path, checkpoint.figures()


def _best_or(source: Path, figures: JsonObject, attempt: Attempt, crew: Crew) -> tuple[Path, JsonObject]:
    """The checkpoint with the lowest validation loss where that was asked for, else what the run ended with."""
    best = crew.course.best
    if not crew.spec.keep_best or best is None:
        return source, figures
    step, loss = best
    path = attempt.work / CHECKPOINTS / f"checkpoint-{step}"
    if (fault := checkpoints.fault_of(path, step)) is not None:
        message = f"the best checkpoint, of step {step}, is not published: {fault}; the last weights are"
        attempt.emit(events.LOG, {"level": "warning", "message": message, "step": step})
        return source, figures
    return path, {**figures, "best_step": step, "best_val_loss": loss}


def _inputs(attempt: Attempt, spec: TrainingSpec, weights: Weights, data: Path) -> Inputs:
    """Bring model, adapter and rows to where LLaMA-Factory can read them."""
    base = attempt.spec.models["base"]
    if base.adapter is not None:
        _require_continuable(base, spec)
    return Inputs(
        model=attempt.store.materialise(base.base),
        model_bytes=weights.size,
        template=base.template,
        data=data,
        adapter=attempt.store.materialise(base.adapter) if base.adapter else None,
        has_validation=bring_rows(attempt, spec, data),
        rater=bring_rater(attempt, spec),
    )


def _require_continuable(base: ModelInput, spec: TrainingSpec) -> None:
    """Only an adapter can be trained on as what it is."""
    if spec.finetuning_type is not FinetuningType.LORA:
        raise UserFault(
            Reason.FULL_ON_ADAPTER,
            f"model {base.name} is an adapter on its base: train it on with finetuningType lora, or name its base",
        )
    begins = {"useRslora": spec.use_rslora, "useDora": spec.use_dora, "pissaInit": spec.pissa_init}
    if unused := [name for name, is_set in begins.items() if is_set]:
        raise UserFault(
            Reason.OPTION_UNSUPPORTED,
            f"{unused[0]} is for a new adapter, and model {base.name} is one already: drop it, or name its base",
        )


def _until_fault(
    checkpoint: Checkpoint | None, attempt: Attempt, crew: Crew, inputs: Inputs, places: Places
) -> Exception | None:
    """Train on; answers what ended the trainer's loop early, without all that its traceback would keep in memory."""
    try:
        _run_from(checkpoint, attempt, crew, inputs, places)
    except (Struck, Restart, MemoryShort, MemoryError, RuntimeError, OSError) as fault:
        if is_recoverable(fault, crew.spec, crew.course, has_begun=crew.has_begun):
            return unwound(fault)
        raise
    return None


def _run_from(checkpoint: Checkpoint | None, attempt: Attempt, crew: Crew, inputs: Inputs, places: Places) -> None:
    """Train on; a checkpoint that turns out to be unreadable stands in no further attempt's way."""
    try:
        _run(attempt, crew, inputs, places)
    except Exception as fault:
        if checkpoint is not None and recognise(faults_of(fault)) in _UNREADABLE:
            checkpoints.move_away(checkpoint.path, attempt.work / SET_ASIDE)
            message = f"the checkpoint of step {checkpoint.step} cannot be read: {type(fault).__name__}: {fault}"
            raise EngineFault(Reason.CHECKPOINT_DAMAGED, message[:LONGEST_MESSAGE]) from fault
        raise


def _run(attempt: Attempt, crew: Crew, inputs: Inputs, places: Places) -> None:
    """Let LLaMA-Factory train."""
    found = machine(crew.spec, attempt.spec.resources.gpus)
    try:
        arguments = crew.course.adapted(engine_arguments(crew.spec, inputs, places, found))
    except Unsupported as fault:
        raise UserFault(Reason.OPTION_UNSUPPORTED, str(fault)) from None
    if crew.spec.parallel is not None:
        train_together(attempt, crew, arguments, has_gpu=found.has_gpu)
        return
    fit_threads(inputs.model_bytes)
    with crew.hard_limit.held(), crew.stepping.in_charge():
        crew.run_exp(dict(arguments), crew.callbacks(attempt.work / PISSA))


def _name(spec: TrainingSpec, base: ModelInput) -> str:
    suffix = f"-{spec.stage.value}-{spec.finetuning_type.value}"
    return spec.output_name or f"{base.name[: 96 - len(suffix)]}{suffix}"


def _result(spec: TrainingSpec, base: ModelInput, artifact: Artifact, weights: Weights, figures: JsonObject) -> Result:
    is_adapter = spec.finetuning_type.makes_adapter
    model: JsonObject = {
        "name": _name(spec, base),
        "base": base.base if is_adapter else artifact.sha256,
        "adapter": artifact.sha256 if is_adapter else None,
        "template": base.template,
        "parameters": weights.parameters,
        "takes_images": weights.takes_images,
        "purpose": ModelPurpose.REWARD if spec.stage.has_value_head else ModelPurpose.CHAT,
    }
    return Result(result={"model": model, "metrics": figures}, artifacts=[artifact])
