"""Chooses the next token of every row of a batch, each by its own rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Rules:
    """How one answer is drawn; a temperature of 0 takes the likeliest token."""

    temperature: float = 0.0
    top_p: float = 1.0
    chance: Random = field(default_factory=Random)
    """Of this answer alone: who else is in the batch changes nothing."""


def choose(logits: Any, rules: Sequence[Rules]) -> list[int]:
    """The next token of each row; `logits` is (rows, vocabulary)."""
    chosen: list[int] = logits.argmax(dim=-1).tolist()
    drawn = [place for place, rule in enumerate(rules) if rule.temperature > 0]
    if drawn:
        for place, token in zip(drawn, _draw(logits[drawn], [rules[place] for place in drawn]), strict=True):
            chosen[place] = token
    return chosen


def _draw(logits: Any, rules: Sequence[Rules]) -> list[int]:
    """By inverting each row's distribution at a number of the row's own."""

    def column(values: Sequence[float]) -> Any:
        return torch.tensor(values, dtype=torch.float64, device=logits.device).unsqueeze(1)

    shares = (logits.double() / column([rule.temperature for rule in rules])).softmax(dim=-1)
    order = None
    if any(rule.top_p < 1 for rule in rules):
        shares, order = shares.sort(dim=-1, descending=True)
        # The first token that passes the mark still counts, so the likeliest always does.
        shares = shares * ((shares.cumsum(dim=-1) - shares) < column([rule.top_p for rule in rules]))
    heights = shares.cumsum(dim=-1)
    marks = column([rule.chance.random() for rule in rules]) * heights[:, -1:]
    found = torch.searchsorted(heights, marks, right=True).clamp(max=shares.shape[-1] - 1)
    picked: list[int] = (found if order is None else order.gather(1, found)).squeeze(1).tolist()
    return picked
