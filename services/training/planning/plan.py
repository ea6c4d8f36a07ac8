"""A plan: the beginning of a training, and a rehearsal of its longest step, in place of the training itself."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from services.training.attempt_data import bring_rows
from services.training.devices import machine
from services.training.memory_gauge import resident_gib
from services.training.planning.lengths import Lengths, measure
from services.training.planning.processes import alone, shared_out
from services.training.planning.rehearsal import Footprint, Rehearsal
from services.training.recipe import Inputs, Places, Unsupported, engine_arguments
from services.training.weights import weights_of
from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.contracts.plans import Alternative, BatchAdvice, MemoryEstimate, PlanWarning, TrainingPlan
from shared.contracts.training import MOST_ACCUMULATED, FinetuningType, TrainingSpec
from shared.worker.attempt import Attempt, UserFault
from shared.worker.machine import memory_bytes

_GIB = 2**30
_USABLE = 0.9
"""Of a device's memory: the rest is for what nobody can foresee."""
_FEW_STEPS = 10
_TRAINER_GIB = 0.04
"""What the trainer itself takes once it runs."""
_WASTE = {(False, False): 1.8, (False, True): 3.4, (True, False): 1.4, (True, True): 3.0}
"""Bytes that the C library holds for each living byte of activations, measured, by whether all weights are trained and
whether layers are computed twice. The small gradients of an adapter, and what stays of each layer computed again, lie
between the large blocks that it would otherwise hand back."""
_WASTE_ON_GPU = 1.05


@dataclass(frozen=True, slots=True)
class _Case:
    """A training that may be planned with other batches."""

    spec: TrainingSpec
    inputs: Inputs
    places: Places
    lengths: Lengths
    device: str
    process: float
    gpus: int

    @property
    def together(self) -> int:
        """Processes whose memory is the same one's: on a GPU each has its own."""
        return self.spec.processes if self.device == "cpu" else 1

    def memory(self, **changes: Any) -> tuple[Footprint, MemoryEstimate]:
        """Of the longest step, with these fields changed."""
        spec = self.spec.model_copy(update=changes)
        rows, _ = spec.own_batches
        arguments = engine_arguments(alone(spec), self.inputs, self.places, machine(spec, self.gpus))
        whole = Rehearsal(arguments, spec.stage, self.device).footprint(rows, self.lengths.widest(spec))
        footprint = shared_out(whole, spec.parallel)
        is_twice = not arguments["disable_gradient_checkpointing"]
        waste = _WASTE[spec.finetuning_type is FinetuningType.FULL, is_twice] if self.device == "cpu" else _WASTE_ON_GPU
        parts = {
            "weights": footprint.weights, "gradients": footprint.gradients, "optimizer": footprint.optimizer,
            "activations": footprint.activations * waste, "process": self.process * _GIB,
        }  # fmt: skip
        there = {name: size * self.together for name, size in parts.items()}
        return footprint, MemoryEstimate(
            device="cuda" if self.device == "cuda" else "cpu",
            **{name: _gib(size) for name, size in there.items()},
            peak=_gib(sum(there.values())), limit=_gib(self.limit),
        )  # fmt: skip

    @property
    def limit(self) -> float:
        """Bytes that the device has."""
        if self.device == "cuda":
            return float(torch.cuda.get_device_properties(0).total_memory)
        return float(memory_bytes())

    def fits(self, memory: MemoryEstimate) -> bool:
        """With some room left."""
        return memory.peak <= _USABLE * memory.limit


def _gib(size: float) -> float:
    return round(size / _GIB, 4)


def plan(attempt: Attempt) -> TrainingPlan:
    """What the attempt's training would take; what it would fail of is a fatal warning."""
    spec = TrainingSpec.model_validate(attempt.spec.spec)
    told = _Told(attempt)
    try:
        case = _case(told, spec)
        footprint, memory = case.memory()
    except Unsupported as fault:
        return TrainingPlan(allowed_to_proceed=False, warnings=[_fatal("option_unsupported", str(fault))])
    except UserFault as fault:
        return TrainingPlan(allowed_to_proceed=False, warnings=[*told.warnings, _fatal(fault.reason, fault.message)])
    rows = case.lengths.trained_rows(spec)
    steps = _steps(spec, rows)
    fits = case.fits(memory)
    warnings = [*told.warnings, *_warnings(case, steps)]
    if not fits:
        message = f"needs {memory.peak:.2f} GiB of {memory.limit:.2f} GiB, a tenth of which should stay free"
        warnings.append(_fatal("does_not_fit", message))
    return TrainingPlan(
        allowed_to_proceed=fits, parameters=footprint.parameters, trainable_parameters=footprint.trainable,
        rows=rows, steps=steps, tokens=case.lengths.counts(spec.cutoff_len), memory=memory,
        recommended=_advice(case), warnings=warnings, alternatives=[] if fits else _alternatives(case),
    )  # fmt: skip


class _Told(Attempt):
    """An attempt whose warnings are for the plan."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt.spec, attempt.folder, attempt.work, attempt.store)
        self.warnings: list[PlanWarning] = []

    def emit(self, event_type: str, data: Any) -> int:
        """Keep what would be warned of."""
        if event_type == events.LOG and data.get("level") == "warning":
            self.warnings.append(PlanWarning(code="rows", message=str(data["message"]), param="dataset"))
        return 0


def _case(attempt: Attempt, spec: TrainingSpec) -> _Case:
    base = attempt.spec.models["base"]
    model = attempt.store.materialise(base.base)
    adapter = attempt.store.materialise(base.adapter) if base.adapter else None
    data = attempt.scratch / "data"
    has_validation = bring_rows(attempt, spec, data)
    inputs = Inputs(model, weights_of(model).size, base.template, data, adapter, has_validation)
    places = Places(attempt.scratch / "output", attempt.scratch / "cache")
    gpus = attempt.spec.resources.gpus
    found = machine(spec, gpus)
    # What the machine cannot do is told before anything is measured.
    engine_arguments(spec, inputs, places, found)
    lengths = measure(engine_arguments(alone(spec), inputs, places, found), spec, inputs)
    device = "cuda" if found.has_gpu else "cpu"
    process = 0.0 if device == "cuda" else resident_gib() + _TRAINER_GIB
    return _Case(spec, inputs, places, lengths, device, process, gpus)


def _steps(spec: TrainingSpec, rows: int) -> int:
    """As the trainer counts them."""
    if spec.max_steps is not None:
        return spec.max_steps
    at_once, times = spec.own_batches
    batches = math.ceil(math.ceil(rows / at_once) / spec.processes)
    return math.ceil(spec.epochs * max(math.ceil(batches / times), 1))


def _fatal(code: str, message: str) -> PlanWarning:
    return PlanWarning(code=code, message=message, is_fatal=True)


def _warnings(case: _Case, steps: int) -> list[PlanWarning]:
    spec, found = case.spec, []
    counts = case.lengths.counts(spec.cutoff_len)
    if counts.shortened_rows:
        message = (
            f"cutoffLen {spec.cutoff_len} cuts {counts.shortened_rows} rows; the longest has {counts.longest} tokens"
        )
        found.append(PlanWarning(code="rows_shortened", message=message, param="cutoffLen"))
    if steps < _FEW_STEPS:
        message = f"only {steps} optimizer steps: raise epochs, or lower batchSize or gradientAccumulationSteps"
        found.append(PlanWarning(code="few_steps", message=message, param="epochs"))
    if spec.parallel is not None:
        message = (
            f"what each of {spec.processes} processes holds is computed from the rehearsal of one; "
            "what they keep to send to each other is a guess"
        )
        found.append(PlanWarning(code="processes_not_rehearsed", message=message, param="parallel"))
    if case.lengths.template_differs:
        message = (
            f"the model's own chat template spells a conversation otherwise than template {case.inputs.template}, "
            "which the model was registered with"
        )
        found.append(PlanWarning(code="template_differs", message=message, param="modelName"))
    return found


def _advice(case: _Case) -> BatchAdvice | None:
    """The largest batch that fits, up to the global one."""
    spec = case.spec
    whole = spec.batch_size * spec.gradient_accumulation_steps
    sizes = [size for size in _sizes(whole) if size <= whole // spec.processes]
    low, high, best = 0, len(sizes) - 1, None
    while low <= high:
        middle = (low + high) // 2
        changes = {"batch_size": sizes[middle], "gradient_accumulation_steps": whole // sizes[middle]}
        if case.fits(case.memory(**changes)[1]):
            best, low = sizes[middle], middle + 1
        else:
            high = middle - 1
    if best is None:
        return None
    strategy = spec.parallel.strategy if spec.parallel else "single_device"
    return BatchAdvice(batch_size=best, gradient_accumulation_steps=whole // best, strategy=strategy)


def _sizes(whole: int) -> list[int]:
    """Batches that make up the global one, smallest first."""
    return [size for size in range(1, whole + 1) if whole % size == 0 and whole // size <= MOST_ACCUMULATED]


def _alternatives(case: _Case) -> list[Alternative]:
    """Requests like this one that fit, least changed first."""
    spec = case.spec
    whole = spec.batch_size * spec.gradient_accumulation_steps
    least = _sizes(whole)[0]
    smallest: JsonObject = {"batchSize": least, "gradientAccumulationSteps": whole // least}
    recomputed: JsonObject = {"gradientCheckpointing": "on"}
    tries: list[JsonObject] = [smallest, recomputed, {**smallest, **recomputed}]
    if spec.finetuning_type is FinetuningType.FULL:
        tries += [{"finetuningType": "lora"}, {"finetuningType": "lora", **smallest, **recomputed}]
    tries.append({**smallest, **recomputed, "cutoffLen": max(spec.cutoff_len // 2, 8)})
    found = []
    for changes in tries:
        asked = {**spec.model_dump(mode="json", by_alias=True, exclude_unset=True), **changes}
        other = replace(case, spec=TrainingSpec.model_validate(asked))
        memory = other.memory()[1]
        if other.fits(memory):
            found.append(Alternative(changes=changes, peak=memory.peak))
    return found
