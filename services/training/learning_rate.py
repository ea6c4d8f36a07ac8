"""Changing the learning rate of a run under way, so that its schedule keeps its shape and a checkpoint its value."""

from typing import Any


def base_rate(scheduler: Any) -> float:
    """What the spec's `learningRate` counts as in this scheduler."""
    return float(scheduler.base_lrs[0])


def set_base_rate(scheduler: Any, rate: float) -> None:
    """Scale every group alike: methods that train some weights at a multiple of the rate keep the multiple."""
    before = base_rate(scheduler)
    if rate == before:
        return
    scheduler.base_lrs = [base / before * rate for base in scheduler.base_lrs]
    scheduler._last_lr = [now / before * rate for now in scheduler.get_last_lr()]
    for group, base, now in zip(
        scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.get_last_lr(), strict=True
    ):
        group["initial_lr"] = base
        group["lr"] = now
