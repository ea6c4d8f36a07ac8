"""Plans of several processes, made from the rehearsal of one; pure."""

from dataclasses import replace

from services.training.planning.rehearsal import Footprint
from services.training.ranks.presets import shares_of
from shared.contracts.parallel import Parallel, Strategy
from shared.contracts.training import TrainingSpec


def alone(spec: TrainingSpec) -> TrainingSpec:
    """What one of its processes does, as a training of its own."""
    rows, times = spec.own_batches
    changes = {"parallel": None, "batch_size": rows, "gradient_accumulation_steps": times}
    return spec.model_copy(update=changes)


def shared_out(whole: Footprint, parallel: Parallel | None) -> Footprint:
    """What one of the processes holds of what one alone would."""
    if parallel is None:
        return whole
    weights, gradients, optimizer = shares_of(parallel.strategy, parallel.processes)
    # Gradients are copied to be sent.
    sent = whole.gradients if parallel.strategy is Strategy.DDP else 0
    return replace(
        whole, weights=round(whole.weights * weights), gradients=round(whole.gradients * gradients) + sent,
        optimizer=round(whole.optimizer * optimizer),
    )  # fmt: skip
