"""A healthy loss is left alone however it jumps; a sick one is known by its figures."""

import math
import random

import pytest

from services.training.loss_signs import (
    DIVERGING,
    EXPLODING,
    NOT_FINITE,
    PLATEAU,
    SPIKE,
    VANISHING,
    GradientSigns,
    LossSigns,
    Sign,
)


def signs_of(losses: list[float]) -> list[Sign]:
    watch = LossSigns()
    found = [watch.take(step, loss) for step, loss in enumerate(losses, start=1)]
    return [sign for sign in found if sign is not None]


def falling(steps: int, seed: int, spread: float, heavy: bool = False) -> list[float]:
    """A loss as trainings have them: a fast fall, a slow one, and noise that may have a heavy tail."""
    chance = random.Random(seed)

    def noise() -> float:
        return chance.lognormvariate(0, spread) if heavy else max(0.05, chance.gauss(1, spread))

    return [(0.4 + 4 * math.exp(-step / 80) + 0.6 * math.exp(-step / 900)) * noise() for step in range(steps)]


@pytest.mark.parametrize("heavy", [False, True], ids=["normal noise", "batches of one row"])
@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3, 0.8])
def test_a_healthy_loss_strikes_no_alarm(heavy: bool, spread: float) -> None:
    for seed in range(5):
        grave = [sign for sign in signs_of(falling(2000, seed, spread, heavy)) if sign.kind != PLATEAU]
        assert grave == [], (seed, grave[0])


def test_rows_that_get_harder_are_no_divergence() -> None:
    losses = [*falling(600, 1, 0.1), *[loss * 1.2 for loss in falling(1600, 2, 0.1)[1000:]]]
    assert [sign.kind for sign in signs_of(losses) if sign.kind != PLATEAU] == []


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_seen_at_once_with_the_batch_before_it(loss: float) -> None:
    (sign,) = signs_of([2.0, 1.5, loss])
    assert (sign.kind, sign.step, sign.skip) == (NOT_FINITE, 3, (2, 3))
    assert sign.evidence == {"last_loss": 1.5}


def test_a_spike_stands_far_outside_all_that_was_seen() -> None:
    losses = falling(300, 3, 0.1)
    losses[200] *= 20
    (sign,) = [sign for sign in signs_of(losses) if sign.kind != PLATEAU]
    assert (sign.kind, sign.step, sign.skip) == (SPIKE, 201, (200, 201))
    assert sign.evidence["sigmas"] > 15


def test_a_loss_that_climbs_step_by_step_is_dated_back_to_where_it_began() -> None:
    healthy = falling(500, 4, 0.1)
    climbing = [healthy[-1] * 1.02**step for step in range(150)]
    first = next(sign for sign in signs_of([*healthy, *climbing]) if sign.kind == DIVERGING)
    assert 480 < first.step <= 580
    assert first.evidence["loss"] > 1.5 * first.evidence["lowest_level"]


def test_a_loss_that_stays_where_it_is_is_told_once() -> None:
    assert [sign.kind for sign in signs_of([1.0] * 1000)] == [PLATEAU]


def test_what_is_done_again_is_judged_as_if_it_were_new() -> None:
    losses = falling(300, 5, 0.1)
    watch = LossSigns()
    for step, loss in enumerate(losses, start=1):
        watch.take(step, loss)
    watch.rewind(250)
    assert [watch.take(step, losses[step - 1]) for step in range(251, 301)] == [None] * 50
    spike = watch.take(301, 40.0)
    assert spike is not None
    assert spike.kind == SPIKE


def test_gradients_that_vanish_or_explode_are_told_once_each() -> None:
    watch = GradientSigns()
    norms = [1.0] * 20 + [1e-9] * 10 + [1.0] + [500.0] * 3
    found = [sign.kind for step, norm in enumerate(norms) if (sign := watch.take(step, norm)) is not None]
    assert found == [VANISHING, EXPLODING]


def test_a_gradient_that_is_no_number_is_as_bad_as_such_a_loss() -> None:
    sign = GradientSigns().take(7, math.nan)
    assert sign is not None
    assert sign.kind == NOT_FINITE
