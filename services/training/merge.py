"""One attempt at an export job of operation `merge`: base and adapter as one plain model."""

import shutil
from pathlib import Path

from services.training.cards import MODEL, export_card
from services.training.export.merging import merge
from services.training.publish import publish_model, stage_tokenizer
from services.training.weights import weights_of
from shared.contracts import events
from shared.contracts.exports import ExportSpec
from shared.contracts.failures import Reason
from shared.contracts.work import ModelInput
from shared.worker.attempt import Attempt, Result, UserFault

_GB = 1_000_000_000


def run_merge(attempt: Attempt) -> Result:
    """Merge, store, describe."""
    spec = ExportSpec.model_validate(attempt.spec.spec)
    model = attempt.spec.models["base"]
    if model.adapter is None:
        raise UserFault(Reason.OPTION_UNSUPPORTED, f"model {model.name} has no adapter to merge")
    try:
        tell(attempt, 0, 2, "merging")
        folder = merged_folder(attempt, model, round(spec.max_shard_gb * _GB))
        tell(attempt, 1, 2, "storing")
        name = spec.output_name or f"{model.name}-merged"
        card = export_card(attempt, spec, name, MODEL)
        artifact = publish_model(attempt.store, folder, attempt.scratch / "published", card)
        weights = weights_of(folder)
    finally:
        shutil.rmtree(attempt.scratch, ignore_errors=True)
    tell(attempt, 2, 2, "merged")
    made = {
        "name": name,
        "base": artifact.sha256,
        "adapter": None,
        "template": model.template,
        "parameters": weights.parameters,
        "takes_images": weights.takes_images,
    }
    return Result(result={"model": made, "metrics": {"bytes": artifact.size}}, artifacts=[artifact])


def merged_folder(attempt: Attempt, model: ModelInput, max_shard_bytes: int) -> Path:
    """A folder with the plain model: the store's own where there is no adapter, else a merged one in the scratch."""
    base = attempt.store.materialise(model.base)
    weights_of(base)
    if model.adapter is None:
        return base
    target = attempt.scratch / "merged"
    merge(base, attempt.store.materialise(model.adapter), target, max_shard_bytes)
    stage_tokenizer(base, target)
    return target


def tell(attempt: Attempt, done: int, total: int, what: str) -> None:
    """How far an export is."""
    attempt.emit(events.PROGRESS, {"done": done, "total": total, "what": what})
