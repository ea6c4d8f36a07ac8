"""A training that is told what to do does it at once, says so, and does it no second time."""

import json
import signal

import pytest

from services.training.checkpoints import MANIFEST
from services.training.course import NAME as COURSE
from shared.contracts.commands import Action
from shared.contracts.work import AttemptCause, Control, Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Laboratory, Run
from tests.waiting import eventually

LONG = {**QUICK, "maxSteps": 80, "saveSteps": 20, "keepCheckpoints": 5, "loraDropout": 0.1, "epochs": 50.0,
        "lrSchedulerType": "linear"}  # fmt: skip


def rates(run: Run) -> dict[int, float]:
    """Learning rate by step."""
    return {data["step"]: data["learning_rate"] for data in run.told("metrics_update") if "learning_rate" in data}


def tell_midway(laboratory: Laboratory, action: Action, value: float | None = None, **changes: object) -> Run:
    """Begin a long run and give it a command once it has passed 25 steps."""
    run = laboratory.begin({**LONG, **changes})
    eventually(run.losses, lambda losses: max(losses, default=0) > 25, within_s=60)
    run.tell(action, value)
    return run


@pytest.fixture(scope="module")
def slowed(laboratory: Laboratory) -> Run:
    """Its learning rate was lowered on the way."""
    return laboratory.finish(tell_midway(laboratory, Action.SET_LEARNING_RATE, 0.001))


def test_a_checkpoint_is_made_at_the_step_that_the_answer_names(laboratory: Laboratory) -> None:
    run = laboratory.begin({**LONG, "saveSteps": None}, told=(Action.CHECKPOINT, None))
    eventually(lambda: run.told("command_carried_out"), within_s=60)
    (answer,) = run.told("command_carried_out")
    assert (run.checkpoints / f"checkpoint-{answer['step']}" / MANIFEST).is_file()
    assert answer["step"] in {data["step"] for data in run.told("checkpoint_saved")}
    laboratory.finish(run)
    assert run.result.outcome is Outcome.SUCCEEDED


def test_a_new_learning_rate_keeps_the_schedule_s_shape(slowed: Run) -> None:
    (answer,) = slowed.told("command_carried_out")
    assert (answer["from"], answer["to"]) == (0.01, 0.001)
    told_at = answer["step"]
    for step, rate in rates(slowed).items():
        peak = 0.01 if step <= told_at else 0.001
        assert rate == pytest.approx(peak * (1 - (step - 1) / 80)), step


def test_a_run_that_comes_by_again_changes_its_rate_at_the_same_step(laboratory: Laboratory, slowed: Run) -> None:
    (answer,) = slowed.told("command_carried_out")
    first = tell_midway(laboratory, Action.SET_LEARNING_RATE, 0.001)
    eventually(lambda: first.told("command_carried_out"), within_s=60)
    course = first.folder.parent / "work" / COURSE
    laboratory.signal(first, signal.SIGKILL, after_step=first.told("command_carried_out")[0]["step"])
    # The command itself comes at some step; what is compared is a run that was killed with one that was not.
    course.write_text(json.dumps({**json.loads(course.read_text()), "learning_rates": [[answer["step"], 0.001]]}))
    second = laboratory.train(LONG, after=first)
    assert second.told("command_carried_out") == []
    losses = slowed.losses()
    assert {step: loss for step, loss in losses.items() if step in second.losses()} == second.losses()
    assert max(second.losses()) == 80


def test_a_new_learning_rate_holds_after_a_pause(laboratory: Laboratory) -> None:
    first = tell_midway(laboratory, Action.SET_LEARNING_RATE, 0.002)
    eventually(lambda: first.told("command_carried_out"), within_s=60)
    laboratory.signal(first, signal.SIGTERM, after_step=30, control=Control.PAUSE)
    assert first.result.outcome is Outcome.PAUSED
    second = laboratory.train(LONG, after=first, cause=AttemptCause.RESUME)
    step, rate = next(iter(rates(second).items()))
    assert rate == pytest.approx(0.002 * (1 - (step - 1) / 80))
    assert second.told("command_carried_out") == []


def test_an_evaluation_on_command_changes_nothing_of_the_run(laboratory: Laboratory) -> None:
    spec = {**LONG, "validationDataset": "sums", "evalSteps": 40}
    untold = laboratory.train(spec, validation=SUMS[:8])
    told = laboratory.train(spec, validation=SUMS[:8], told=(Action.EVALUATE, None))
    (answer,) = told.told("command_carried_out")
    assert answer["val_loss"] > 0
    assert answer["step"] in {data["step"] for data in told.told("metrics_update") if "val_loss" in data}
    assert told.losses() == untold.losses()


def test_without_validation_data_an_evaluation_is_refused(laboratory: Laboratory) -> None:
    run = laboratory.train(QUICK, told=(Action.EVALUATE, None))
    (answer,) = run.told("command_refused")
    assert "validationDataset" in answer["why"]
    assert run.result.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("steps", [20, 5, 1])
def test_more_or_fewer_steps_are_done_with_a_schedule_that_fits_them(laboratory: Laboratory, steps: int) -> None:
    run = laboratory.train({**QUICK, "lrSchedulerType": "linear"}, told=(Action.SET_MAX_STEPS, steps))
    (answer,) = run.told("command_carried_out")
    assert (answer["step"], answer["from"], answer["to"]) == (1, 12, steps)
    assert max(run.losses()) == steps
    assert run.result.outcome is Outcome.SUCCEEDED, run.result
    metrics = run.result.result["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["step"] == steps
    for step, rate in list(rates(run).items())[2:]:
        assert rate == pytest.approx(0.01 * (1 - (step - 1) / steps))


def test_an_end_that_has_been_passed_is_refused(laboratory: Laboratory) -> None:
    run = tell_midway(laboratory, Action.SET_MAX_STEPS, 10)
    laboratory.finish(run)
    (answer,) = run.told("command_refused")
    assert "done already" in answer["why"]
    assert max(run.losses()) == 80


def test_a_new_end_holds_after_a_kill(laboratory: Laboratory) -> None:
    first = tell_midway(laboratory, Action.SET_MAX_STEPS, 60)
    laboratory.signal(first, signal.SIGKILL, after_step=45)
    second = laboratory.train(LONG, after=first)
    assert max(second.losses()) == 60
    assert second.result.outcome is Outcome.SUCCEEDED
