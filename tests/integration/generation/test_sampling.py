"""What is drawn follows the distribution, the rules and the row's own chance."""

from collections import Counter
from random import Random

import pytest
import torch

from shared.generation.sampling import Rules, choose

_LOGITS = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))


def _drawn(count: int, temperature: float, top_p: float) -> dict[int, float]:
    rules = [Rules(temperature, top_p, Random(seed)) for seed in range(count)]
    found = Counter(choose(_LOGITS.repeat(count, 1), rules))
    return {token: times / count for token, times in found.items()}


def test_tokens_come_as_often_as_they_are_likely() -> None:
    assert _drawn(4000, 1.0, 1.0) == pytest.approx({0: 0.5, 1: 0.3, 2: 0.15, 3: 0.05}, abs=0.03)


def test_a_low_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    assert _drawn(1000, 0.25, 1.0)[0] > 0.85
    assert _drawn(50, 0.0, 1.0) == {0: 1.0}


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    assert set(_drawn(1000, 1.0, 0.7)) == {0, 1}
    assert _drawn(200, 1.0, 0.01) == {0: 1.0}


def test_a_row_draws_the_same_beside_greedy_and_choosy_rows() -> None:
    alone = choose(_LOGITS, [Rules(1.0, 1.0, Random(11))])
    rules = [Rules(), Rules(1.0, 1.0, Random(11)), Rules(0.7, 0.9, Random(1))]
    assert choose(_LOGITS.repeat(3, 1), rules)[:2] == [0, *alone]
