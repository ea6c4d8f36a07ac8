"""Compares a model with its baseline, question by question; a gain above 0 is always for the better."""

from services.evaluator.aggregate import Interval, bootstrap, win_tie_loss
from services.evaluator.contest import LOSS, Sheet


def gains(model: Sheet, baseline: Sheet) -> dict[str, float]:
    """By how much each metric got better; for the loss, by how much it fell."""
    ours, theirs = model.metrics(), baseline.metrics()
    return {name: theirs[name] - ours[name] if name == LOSS else ours[name] - theirs[name] for name in ours}


def gain_intervals(model: Sheet, baseline: Sheet, seed: int) -> dict[str, Interval]:
    """95% interval of each gain, by resampling questions with both models' scores."""
    found = {name: bootstrap(values, seed) for name, values in _row_gains(model, baseline).items() if name != LOSS}
    tokens = [one.tokens for one in model.surprises]
    if tokens != [one.tokens for one in baseline.surprises]:
        # Other tokens, other losses: a difference per token has no meaning row by row.
        return found
    fallen = [theirs.total - ours.total for ours, theirs in zip(model.surprises, baseline.surprises, strict=True)]
    return {**found, LOSS: bootstrap(fallen, seed, tokens)}


def comparison(model: Sheet, baseline: Sheet) -> dict[str, dict[str, int]]:
    """Wins, ties and losses against the baseline, by score."""
    return {name: win_tie_loss(values) for name, values in _row_gains(model, baseline).items()}


def _row_gains(model: Sheet, baseline: Sheet) -> dict[str, list[float]]:
    found = {
        name: [ours - theirs for ours, theirs in zip(values, baseline.scores[name], strict=True)]
        for name, values in model.scores.items()
    }
    pairs = zip(model.surprises, baseline.surprises, strict=True)
    return {**found, LOSS: [theirs.mean - ours.mean for ours, theirs in pairs]}
