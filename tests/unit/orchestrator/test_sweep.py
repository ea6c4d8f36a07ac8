"""Where a sweep is, and its best trial, are read from its trials."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.sweep import Trial, best_of, status_of, value_of, why_of
from shared.contracts.jobs import Phase
from shared.contracts.sweeps import Goal, Objective, SweepStatus


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"queued": 3}, "queued"),
        ({"queued": 3, "running": 0}, "queued"),
        ({"queued": 2, "starting": 1}, "running"),
        ({"queued": 1, "succeeded": 2}, "running"),
        ({"paused": 1, "succeeded": 1}, "running"),
        ({"stopping": 1, "stopped": 4}, "running"),
        ({"succeeded": 3}, "succeeded"),
        ({"succeeded": 1, "failed": 9}, "succeeded"),
        ({"failed": 2}, "failed"),
        ({"succeeded": 5, "stopped": 1}, "stopped"),
        ({"failed": 5, "stopped": 1}, "stopped"),
    ],
)
def test_a_sweep_is_where_its_trials_are(counts: dict[str, int], status: str) -> None:
    assert status_of({Phase(phase): count for phase, count in counts.items()}) is SweepStatus(status)


def test_the_status_is_said_in_words() -> None:
    counts = {Phase.FAILED: 1, Phase.QUEUED: 4, Phase.SUCCEEDED: 2, Phase.RUNNING: 1}
    assert why_of(counts, 8) == "3 of 8 trials are over: 4 queued, 1 running, 2 succeeded, 1 failed"


def _trial(number: int, phase: str = "succeeded", result: dict[str, Any] | None = None, **metrics: Any) -> Trial:
    return Trial(number, f"job-{number}", Phase(phase), "", {}, 1.0, metrics, result or {})


@pytest.mark.parametrize(
    ("trial", "metric", "value"),
    [
        (_trial(1, val_loss=0.5), "val_loss", 0.5),
        (_trial(1, advanced_metrics={"gradient_norm": 2}), "advanced_metrics.gradient_norm", 2.0),
        (replace(_trial(1), metrics={"eval.loss": 3.0}), "eval.loss", 3.0),
        (_trial(1, result={"model": {"exactMatch": 0.75}}), "model.exactMatch", 0.75),
        (_trial(1, val_loss=None), "val_loss", None),
        (_trial(1, val_loss=True), "val_loss", None),
        (_trial(1, val_loss={"x": 1}), "val_loss", None),
        (_trial(1, val_loss=1.0), "val_loss.x", None),
        (_trial(1), "val_loss", None),
    ],
)
def test_the_objective_is_a_figure_or_part_of_the_result(trial: Trial, metric: str, value: float | None) -> None:
    assert value_of(trial, metric) == value


def test_the_best_is_the_first_of_the_best_that_succeeded() -> None:
    trials = [
        _trial(1, loss=0.5), _trial(2, loss=0.3), _trial(3, loss=0.3), _trial(4, "failed", loss=0.1), _trial(5),
        _trial(6, "running", loss=0.2), _trial(7, loss=0.9),
    ]  # fmt: skip
    lowest = best_of(trials, Objective(metric="loss", goal=Goal.MINIMIZE))
    highest = best_of(trials, Objective(metric="loss", goal=Goal.MAXIMIZE))
    assert lowest is not None
    assert highest is not None
    assert (lowest.number, highest.number) == (2, 7)
    assert best_of(trials, Objective(metric="accuracy", goal=Goal.MAXIMIZE)) is None
