"""Which trials a sweep has."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.trials import expand, with_values
from shared.contracts.sweeps import SweepSpec
from shared.kit.errors import InvalidRequest


def _spec(parameters: dict[str, Any], **fields: object) -> SweepSpec:
    return SweepSpec.model_validate({"job": {"kind": "training"}, "parameters": parameters, **fields})


def _drawn(parameters: dict[str, Any], trials: int = 50, seed: int = 1) -> list[dict[str, Any]]:
    return list(expand(_spec(parameters, method="random", maxTrials=trials, seed=seed)))


def test_a_grid_is_every_combination_in_the_order_of_fields() -> None:
    trials = expand(_spec({"epochs": [1, 2], "stage": ["sft", "pt"]}))
    assert trials == [
        {"epochs": 1, "stage": "sft"}, {"epochs": 1, "stage": "pt"},
        {"epochs": 2, "stage": "sft"}, {"epochs": 2, "stage": "pt"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given_range", "values"),
    [
        ({"min": 0, "max": 1, "steps": 5}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"min": 1e-5, "max": 1e-3, "scale": "log", "steps": 3}, [1e-5, 1e-4, 1e-3]),
        ({"min": 4, "max": 64, "scale": "log", "type": "int", "steps": 5}, [4, 8, 16, 32, 64]),
        ({"min": 1, "max": 3, "type": "int", "steps": 9}, [1, 2, 3]),
    ],
)
def test_a_range_with_steps_is_spaced_evenly_on_its_scale(given_range: dict[str, Any], values: list[float]) -> None:
    assert [trial["x"] for trial in expand(_spec({"x": given_range}))] == values


def test_no_two_trials_are_alike() -> None:
    assert expand(_spec({"x": [1, 1, 2]})) == [{"x": 1}, {"x": 2}]
    assert sorted(trial["x"] for trial in _drawn({"x": {"min": 1, "max": 4, "type": "int"}})) == [1, 2, 3, 4]


def test_a_grid_of_too_many_trials_is_refused_before_it_is_made() -> None:
    spec = _spec({name: list(range(1000)) for name in "abcdefgh"})
    with pytest.raises(InvalidRequest, match=r"has 1000000000000000000000000 trials, 1000 are allowed") as refusal:
        expand(spec)
    assert refusal.value.param == "maxTrials"


@given(st.integers(0, 2**31 - 1), st.integers(1, 30), st.integers(1, 30))
def test_a_seed_draws_the_same_and_a_larger_sweep_begins_like_a_smaller(seed: int, few: int, more: int) -> None:
    space = {"rate": {"min": 1e-5, "max": 1e-2, "scale": "log"}, "rank": {"min": 1, "max": 10**9, "type": "int"}}
    small = _drawn(space, few, seed)
    assert small == _drawn(space, few, seed)
    assert _drawn(space, few + more, seed)[:few] == small
    assert _drawn(dict(reversed(space.items())), few, seed) == small


def test_another_seed_draws_others() -> None:
    space = {"rate": {"min": 0, "max": 1}}
    assert not {trial["rate"] for trial in _drawn(space, seed=1)} & {trial["rate"] for trial in _drawn(space, seed=2)}


@given(
    st.floats(1e-9, 1e9), st.floats(1.001, 1e9), st.sampled_from(["linear", "log"]), st.integers(0, 1000)
)  # fmt: skip
def test_what_is_drawn_lies_within_the_range(low: float, factor: float, scale: str, seed: int) -> None:
    space = {"x": {"min": low, "max": low * factor, "scale": scale}}
    assert all(low <= trial["x"] <= low * factor for trial in _drawn(space, 5, seed))


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from(["linear", "log"]), st.integers(0, 1000))
def test_integers_are_integers_within_the_range(low: int, width: int, scale: str, seed: int) -> None:
    space = {"x": {"min": low, "max": low + width, "scale": scale, "type": "int"}}
    drawn = [trial["x"] for trial in _drawn(space, 5, seed)]
    assert all(type(value) is int and low <= value <= low + width for value in drawn)


def test_a_log_scale_draws_as_many_small_numbers_as_large_ones() -> None:
    drawn = _drawn({"x": {"min": 1e-6, "max": 1e-2, "scale": "log"}}, 400)
    small = sum(math.log10(trial["x"]) < -4 for trial in drawn)
    assert 150 < small < 250


def test_dots_lead_into_objects() -> None:
    fields: dict[str, Any] = {"model": {"name": "tiny", "rank": 4}, "epochs": 1}
    assert with_values(fields, {"model.rank": 8, "data.rows": 5, "epochs": 2}) == {
        "model": {"name": "tiny", "rank": 8}, "data": {"rows": 5}, "epochs": 2,
    }  # fmt: skip
    assert fields["model"] == {"name": "tiny", "rank": 4}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"parameters": {"x": {"min": 0, "max": 1}}}, "a grid needs steps, or a list of values, for x"),
        ({"parameters": {"x": [1]}, "method": "random"}, "needs maxTrials"),
        ({"parameters": {"x": {"min": 1, "max": 1, "steps": 2}}}, "min must be less than max"),
        ({"parameters": {"x": {"min": 0, "max": 1, "scale": "log", "steps": 2}}}, "a log scale needs min > 0"),
        ({"parameters": {"x": {"min": 0.5, "max": 3, "type": "int", "steps": 2}}}, "begins and ends with one"),
        ({"parameters": {"x": {"min": 0, "max": math.inf, "steps": 2}}}, "finite number"),
        ({"parameters": {"x": []}}, "at least 1 item"),
        ({"parameters": {}}, "at least 1 item"),
        ({"parameters": {"../x": [1]}}, "pattern"),
        ({"parameters": {"x": [1]}, "maxTrials": 1001}, "less than or equal to 1000"),
        ({"parameters": {"x": [1]}, "parallelism": 0}, "greater than or equal to 1"),
        ({"parameters": {"x": [1]}, "job": {"kind": "export"}}, "'training', 'analysis' or 'evaluation'"),
    ],
)
def test_a_sweep_that_says_nothing_sensible_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SweepSpec.model_validate({"job": {"kind": "training"}, **fields})
