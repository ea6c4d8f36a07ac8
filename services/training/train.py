"""One attempt at a training job: resume point, data, LLaMA-Factory, result."""

import shutil
from pathlib import Path

from transformers import TrainerCallback

from services.training import checkpoints
from services.training.callbacks.beginning import BeginningCallback
from services.training.callbacks.checkpoints import CheckpointCallback
from services.training.callbacks.control import ControlCallback, TrainingHalted
from services.training.callbacks.labels import LabelsCallback
from services.training.callbacks.metrics import MetricsCallback
from services.training.callbacks.stopping import StoppingCallback
from services.training.checkpoints import Checkpoint
from services.training.data_files import BadRow, Written, write_data
from services.training.devices import fit_threads, machine
from services.training.llama_factory import run_exp
from services.training.pissa import to_plain_lora
from services.training.publish import publish
from services.training.recipe import TRAIN, VALIDATION, Inputs, Places, Unsupported, engine_arguments
from services.training.weights import Weights, weights_of
from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.contracts.failures import Reason
from shared.contracts.training import FinetuningType, TrainingSpec
from shared.contracts.work import Artifact, Control, ModelInput
from shared.worker.attempt import Attempt, EngineFault, Result, UserFault
from shared.worker.failures.diagnosis import LONGEST_MESSAGE, recognise
from shared.worker.failures.faults import faults_of

SET_ASIDE = "set_aside"
PISSA = "pissa_beginning"
_UNREADABLE = frozenset(
    {Reason.CHECKPOINT_DAMAGED, Reason.WEIGHTS_DAMAGED, Reason.WEIGHTS_MISMATCH, Reason.ADAPTER_UNUSABLE}
)
"""Of a run that goes on from a checkpoint: the model itself was read by the attempt that wrote it."""


def train(attempt: Attempt) -> Result:
    """Train, and publish what came of it; halted on request, end with a checkpoint and nothing published."""
    spec = TrainingSpec.model_validate(attempt.spec.spec)
    base = attempt.spec.models["base"]
    output = attempt.work / "checkpoints"
    output.mkdir(parents=True, exist_ok=True)
    checkpoint = _resume_point(attempt, output)
    weights = weights_of(attempt.store.materialise(base.base))
    try:
        if checkpoint is not None and checkpoint.is_final():
            # The trainer would take one step too many when it resumes a finished run in the middle of an epoch.
            source, figures = checkpoint.path, checkpoint.figures()
        else:
            places = Places(output, attempt.scratch / "cache", checkpoint.path if checkpoint else None)
            source, figures = output, _run_from(checkpoint, attempt, spec, weights, places)
        if spec.pissa_init:
            source = to_plain_lora(source, attempt.work / PISSA, attempt.scratch / "plain")
        artifact = publish(attempt.store, source, attempt.scratch / "published", spec.finetuning_type, base.name)
        return _result(spec, base, artifact, weights, figures)
    except TrainingHalted:
        return Result.of_control(attempt.control() or Control.PREEMPT)
    finally:
        shutil.rmtree(attempt.scratch, ignore_errors=True)


def _resume_point(attempt: Attempt, output: Path) -> Checkpoint | None:
    """The newest good checkpoint, told to the log before anything else when steps will be repeated."""
    checkpoint, refused = checkpoints.newest_good(output, attempt.work / SET_ASIDE)
    checkpoints.clear_output(output)
    if checkpoint is not None or attempt.spec.number > 1:
        rewound = {"to_step": checkpoint.step if checkpoint else 0, "cause": attempt.spec.cause.value}
        attempt.emit(events.TRAINING_REWOUND, rewound)
    for item in refused:
        message = f"the checkpoint of step {item.step} is not used: {item.fault}"
        attempt.emit(events.LOG, {"level": "warning", "message": message, "step": item.step})
    return checkpoint


def _inputs(attempt: Attempt, spec: TrainingSpec, weights: Weights, data: Path) -> Inputs:
    """Bring model, adapter and rows to where LLaMA-Factory can read them."""
    base = attempt.spec.models["base"]
    if base.adapter is not None:
        _require_continuable(base, spec)
    blobs = {
        role: attempt.store.local_path(attempt.spec.datasets[role].sha256)
        for role in (TRAIN, VALIDATION)
        if role in attempt.spec.datasets
    }
    try:
        files = write_data(data, spec.stage, blobs)
    except BadRow as fault:
        raise _bad_row(attempt, fault) from fault
    for role, written in files.items():
        _tell_dropped(attempt, role, written)
    return Inputs(
        model=attempt.store.materialise(base.base),
        model_bytes=weights.size,
        template=base.template,
        data=data,
        adapter=attempt.store.materialise(base.adapter) if base.adapter else None,
        has_validation=VALIDATION in blobs,
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


def _bad_row(attempt: Attempt, fault: BadRow) -> UserFault:
    dataset = attempt.spec.datasets[fault.role]
    where = f"row {fault.number} of data set {dataset.name}@{dataset.version}"
    message = f"{where} cannot be used: {fault.why}"
    attempt.emit(events.LOG, {"level": "error", "message": message, "rows": [fault.number]})
    return UserFault(Reason.BAD_DATA_ROW, message)


def _tell_dropped(attempt: Attempt, role: str, written: Written) -> None:
    if written.dropped:
        why = "; ".join(f"{count} {fault}" for fault, count in written.dropped.most_common())
        message = f"rows of the {role} data set left out: {why}"
        attempt.emit(events.LOG, {"level": "warning", "message": message, "rows": written.dropped_rows})
    if not written.rows:
        found = "; ".join(written.dropped) or "it is empty"
        raise UserFault(Reason.NO_TRAINABLE_ROWS, f"no row of the {role} data set can be trained on: {found}")


def _run_from(
    checkpoint: Checkpoint | None, attempt: Attempt, spec: TrainingSpec, weights: Weights, places: Places
) -> JsonObject:
    """Train on; a checkpoint that turns out to be unreadable stands in no further attempt's way."""
    try:
        return _run(attempt, spec, weights, places)
    except Exception as fault:
        if checkpoint is not None and recognise(faults_of(fault)) in _UNREADABLE:
            checkpoints.move_away(checkpoint.path, attempt.work / SET_ASIDE)
            message = f"the checkpoint of step {checkpoint.step} cannot be read: {type(fault).__name__}: {fault}"
            raise EngineFault(Reason.CHECKPOINT_DAMAGED, message[:LONGEST_MESSAGE]) from fault
        raise


def _run(attempt: Attempt, spec: TrainingSpec, weights: Weights, places: Places) -> JsonObject:
    """Let LLaMA-Factory train; answers the final figures."""
    inputs = _inputs(attempt, spec, weights, attempt.scratch / "data")
    try:
        arguments = engine_arguments(spec, inputs, places, machine())
    except Unsupported as fault:
        raise UserFault(Reason.OPTION_UNSUPPORTED, str(fault)) from None
    metrics = MetricsCallback(attempt, attempt.spec.models["base"].name, weights.parameters)
    fit_threads(weights.size)
    run_exp(dict(arguments), _callbacks(attempt, spec, metrics))
    return metrics.summary()


def _callbacks(attempt: Attempt, spec: TrainingSpec, metrics: MetricsCallback) -> list[TrainerCallback]:
    return [
        LabelsCallback(attempt, spec.cutoff_len),
        *([BeginningCallback(attempt.work / PISSA)] if spec.pissa_init else []),
        metrics,
        *([StoppingCallback(attempt, spec.early_stopping_evaluations)] if spec.early_stopping_evaluations else []),
        ControlCallback(),
        CheckpointCallback(attempt, keep=spec.keep_checkpoints, is_timed=spec.save_steps is None),
    ]


def _result(spec: TrainingSpec, base: ModelInput, artifact: Artifact, weights: Weights, figures: JsonObject) -> Result:
    is_adapter = spec.finetuning_type.makes_adapter
    suffix = f"-{spec.stage.value}-{spec.finetuning_type.value}"
    model: JsonObject = {
        "name": spec.output_name or f"{base.name[: 96 - len(suffix)]}{suffix}",
        "base": base.base if is_adapter else artifact.sha256,
        "adapter": artifact.sha256 if is_adapter else None,
        "template": base.template,
        "parameters": weights.parameters,
    }
    return Result(result={"model": model, "metrics": figures}, artifacts=[artifact])
