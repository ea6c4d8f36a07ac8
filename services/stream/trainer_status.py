"""A status push in the log's own words."""

from datetime import UTC, datetime, timedelta

from shared.contracts.base import JsonObject
from shared.contracts.events import MAX_SEQ, METRICS_UPDATE, PROGRESS, NewEvent
from shared.contracts.trainer_status import TrainerStatus

_NAMES = {
    "loss": "train_loss", "eval_loss": "val_loss", "eval_accuracy": "val_accuracy", "current_step": "step",
    "global_step": "step", "current_epoch": "epoch",
}  # fmt: skip
_WHOLE = frozenset({"step", "total_steps"})


def _figure(name: str, text: str) -> int | float | str | None:
    try:
        value = float(text)
    except ValueError:
        # A word where the log wants a number would refuse the whole push.
        return None if name in {"train_loss", "val_loss", "learning_rate"} else text
    if name not in _WHOLE:
        return value
    return int(value) if value.is_integer() and 0 <= value <= MAX_SEQ else None


def _figures(status: TrainerStatus) -> JsonObject:
    figures: JsonObject = {}
    for metric in status.metrics:
        name = _NAMES.get(metric.name, metric.name)
        value = _figure(name, metric.value)
        if metric.name == "grad_norm":
            figures["advanced_metrics"] = {"gradient_norm": value}
        elif value is not None:
            figures[name] = value
    if status.estimated_remaining_seconds is not None:
        figures["eta_seconds"] = status.estimated_remaining_seconds
        if status.estimated_remaining_seconds < timedelta(days=4).total_seconds():
            minutes = status.estimated_remaining_seconds // 60
            figures["eta"] = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return figures


def events_of(status: TrainerStatus) -> list[NewEvent]:
    """What a push says: how far it is, and its figures; a push without a step counts for `current` only."""
    at = status.last_updated_time or datetime.now(UTC)
    found: list[NewEvent] = []
    if status.progress_percentage is not None:
        data: JsonObject = {"done": status.progress_percentage, "total": 100, "what": "percent"}
        found.append(NewEvent(event_type=PROGRESS, timestamp=at, data=data))
    if figures := _figures(status):
        found.append(NewEvent(event_type=METRICS_UPDATE, timestamp=at, data=figures))
    return found
