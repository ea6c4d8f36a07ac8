"""Means carry intervals that hold what they promise."""

import random

import pytest

from services.evaluator.aggregate import bootstrap, mean, wilson, win_tie_loss


def test_wilson_agrees_with_the_published_example() -> None:
    """81 of 263: 0.2553 to 0.3662 (Newcombe, 1998, table I)."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_leaves_room_when_nothing_or_everything_is_right() -> None:
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_weights_make_a_loss_per_token() -> None:
    assert mean([10.0, 2.0], [4, 2]) == 2.0
    assert mean([1.0, 0.0]) == 0.5
    assert mean([]) == 0.0


def test_a_bootstrap_interval_covers_the_true_mean_about_95_times_of_100() -> None:
    draw = random.Random(5)
    samples = [[draw.random() for _ in range(60)] for _ in range(200)]
    covered = sum(low <= 0.5 <= high for low, high in (bootstrap(sample, seed=1) for sample in samples))
    assert 0.88 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [0.1, 0.5, 0.9, 0.4]
    assert bootstrap(values, seed=3, weights=[1, 2, 3, 4]) == bootstrap(values, seed=3, weights=[1, 2, 3, 4])
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_wins_ties_and_losses_are_counted() -> None:
    assert win_tie_loss([0.5, 0.0, 1e-12, -0.1]) == {"win": 1, "tie": 2, "loss": 1}
