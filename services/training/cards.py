"""What an attempt knows of the model it publishes, as a model card."""

from collections.abc import Sequence
from pathlib import Path

from services.training.model_card import LICENSE_FIELDS, Card, Step, license_of
from shared.contracts.base import JsonObject
from shared.contracts.exports import ExportSpec
from shared.contracts.work import ModelInput
from shared.worker.attempt import Attempt

CARD = "README.md"
_MOST_BYTES = 1 << 20
ADAPTER, MODEL, GGUF = "peft", "transformers", "gguf"


def made_card(attempt: Attempt, name: str, made_by: str, kind: str, figures: JsonObject) -> str:
    """The card of a model that this attempt trained or made from nothing."""
    base = attempt.spec.models.get("base")
    step = Step(
        made_by, name, None if base is None else f"{base.name}@{base.version}", attempt.spec.spec,
        attempt.spec.datasets, figures,
    )  # fmt: skip
    return Card(name, kind, [step], license={} if base is None else _license(attempt, base)).markdown()


def export_card(attempt: Attempt, spec: ExportSpec, name: str, kind: str, notes: Sequence[str] = ()) -> str:
    """The card of what an export makes: this step, and how its model came to be, evaluations included."""
    model = attempt.spec.models["base"]
    steps = [
        Step(spec.operation.value, name, f"{model.name}@{model.version}", attempt.spec.spec),
        *(
            Step(one.made_by, one.reference, one.base_model, one.spec, one.datasets, one.figures)
            for one in model.origins
        ),
    ]
    told: JsonObject = _license(attempt, model) if spec.license is None else {LICENSE_FIELDS[0]: spec.license}
    found = model.origins[0].evaluations if model.origins else []
    return Card(name, kind, steps, found, told, list(notes)).markdown()


def write_card(folder: Path, text: str) -> None:
    """Put the card where people and hubs look for it."""
    (folder / CARD).write_text(text, encoding="utf-8")


def _license(attempt: Attempt, model: ModelInput) -> JsonObject:
    """What the card of the weights or, as they came, of their base says."""
    for tree in filter(None, (model.adapter, model.base)):
        card = attempt.store.materialise(tree) / CARD
        if card.is_file() and card.stat().st_size <= _MOST_BYTES:
            found = license_of(card.read_text(encoding="utf-8", errors="replace"))
            if found:
                return found
    return {}
