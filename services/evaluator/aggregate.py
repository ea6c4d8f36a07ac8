"""Puts the scores of many questions together, with intervals that say how far to trust them."""

import math
from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]
_Z = 1.959964
"""Of a 95% interval."""
_RESAMPLES = 1_000
_FEW_RESAMPLES = 200
_MANY_ROWS = 50_000
_TIE = 1e-9


def wilson(successes: float, total: int) -> Interval:
    """95% interval of a share (Wilson, 1927): right for few rows and for shares near 0 and 1."""
    if total == 0:
        return (0.0, 1.0)
    share, z2 = successes / total, _Z * _Z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return (max(0.0, centre - half), min(1.0, centre + half))


def mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Sum of values over sum of weights: plain without weights; losses over token counts give the loss per token."""
    total = math.fsum(weights) if weights is not None else len(values)
    return math.fsum(values) / total if total else 0.0


def bootstrap(values: Sequence[float], seed: int, weights: Sequence[float] | None = None) -> Interval:
    """95% percentile bootstrap interval of `mean`, a row's value resampled together with its weight."""
    if not values:
        return (0.0, 0.0)
    numbers, shares = np.asarray(values), np.asarray(weights if weights is not None else np.ones(len(values)))
    draw = np.random.default_rng(seed)
    rounds = _RESAMPLES if len(values) <= _MANY_ROWS else _FEW_RESAMPLES
    means = np.empty(rounds)
    for turn in range(rounds):
        picked = draw.integers(len(numbers), size=len(numbers))
        means[turn] = numbers[picked].sum() / shares[picked].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return (float(low), float(high))


def win_tie_loss(gains: Sequence[float]) -> dict[str, int]:
    """On how many questions the model beats, equals or trails the baseline."""
    wins = sum(gain > _TIE for gain in gains)
    losses = sum(gain < -_TIE for gain in gains)
    return {"win": wins, "tie": len(gains) - wins - losses, "loss": losses}
