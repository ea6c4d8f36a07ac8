"""Brings an attempt's rows to where LLaMA-Factory can read them, and tells what was left out of them."""

from pathlib import Path

from services.training.data_files import BadRow, Written, write_data
from services.training.mixing import Mixture, Part, whole
from services.training.recipe import TRAIN, VALIDATION
from services.training.showing import reference_of, sight_of
from shared.contracts import events
from shared.contracts.failures import Reason
from shared.contracts.training import Stage, TrainingSpec
from shared.contracts.work import DatasetInput
from shared.worker.attempt import Attempt, UserFault


def bring_rows(attempt: Attempt, spec: TrainingSpec, folder: Path) -> bool:
    """Write them; answers whether there are some to validate on, or raises UserFault."""
    mixture = mixture_of(attempt, spec)
    rows = {TRAIN: mixture.training()}
    if held_out := attempt.spec.datasets.get(VALIDATION):
        rows[VALIDATION] = whole(reference_of(held_out), attempt.store.local_path(held_out.sha256))
    elif spec.validation_split is not None:
        rows[VALIDATION] = mixture.validation()
    if len(mixture.parts) > 1:
        _tell_mix(attempt, mixture)
    try:
        files = write_data(folder, spec.stage, rows, sight_of(attempt) if spec.stage is Stage.SFT else None)
    except BadRow as fault:
        raise _bad_row(attempt, fault) from fault
    for role, written in files.items():
        _tell_dropped(attempt, role, written)
    return VALIDATION in files


def mixture_of(attempt: Attempt, spec: TrainingSpec) -> Mixture:
    """The data sets that the attempt was given, with the weights that its spec says."""
    found = attempt.spec.datasets
    if spec.datasets:
        parts = [_part(attempt, found[spec.role_of(index)], asked.weight) for index, asked in enumerate(spec.datasets)]
    else:
        parts = [_part(attempt, found[TRAIN])]
    return Mixture(parts, spec.mix_strategy, spec.validation_split, spec.seed)


def _part(attempt: Attempt, dataset: DatasetInput, weight: float | None = None) -> Part:
    return Part(reference_of(dataset), attempt.store.local_path(dataset.sha256), dataset.rows, weight)


def _tell_mix(attempt: Attempt, mixture: Mixture) -> None:
    told = ", ".join(f"{count} of {part.name}" for part, count in zip(mixture.parts, mixture.counts, strict=True))
    attempt.emit(events.LOG, {"level": "info", "message": f"rows of the mix: {told}", "rows": mixture.counts})


def _bad_row(attempt: Attempt, fault: BadRow) -> UserFault:
    message = f"row {fault.number} of data set {fault.dataset} cannot be used: {fault.why}"
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
