"""Stopped, paused, killed or damaged: a run goes on from its last good checkpoint as if nothing had happened."""

import hashlib
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from services.training import checkpoints
from services.training.checkpoints import MANIFEST
from shared.contracts.work import AttemptCause, Control, Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Laboratory, Run
from tests.waiting import eventually

LONG = {**QUICK, "maxSteps": 100, "saveSteps": 10, "keepCheckpoints": 3, "loraDropout": 0.1, "epochs": 50.0}


LORA = "lora"
PAUSES = int(os.environ.get("IMTS_PAUSES", "1"))


@pytest.fixture(scope="module", params=[LORA, "full"])
def kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of fine-tuning resume in ways of their own."""
    return str(request.param)


@pytest.fixture(scope="module")
def uninterrupted(laboratory: Laboratory, kind: str) -> Run:
    """What every interrupted run must come to."""
    return laboratory.train({**LONG, "finetuningType": kind})


@pytest.fixture(scope="module")
def plain(laboratory: Laboratory) -> Run:
    """The same for tests to which the kind does not matter."""
    return laboratory.train({**LONG, "finetuningType": LORA})


def interrupt(laboratory: Laboratory, kind: str, number: int, control: Control | None = None) -> Run:
    """Begin a long run and signal its engine once it has passed 25 steps."""
    run = laboratory.begin({**LONG, "finetuningType": kind})
    laboratory.signal(run, number, after_step=25, control=control)
    return run


def resume(laboratory: Laboratory, run: Run, kind: str, cause: AttemptCause) -> Run:
    return laboratory.train({**LONG, "finetuningType": kind}, after=run, cause=cause)


def assert_equal_to(uninterrupted: Run, *attempts: Run) -> None:
    """The newest value of each step, and the weights, are those of the uninterrupted run, bit for bit."""
    merged: dict[int, float] = {}
    for attempt in attempts:
        merged |= attempt.losses()
    assert merged == uninterrupted.losses()
    assert attempts[-1].result.artifacts == uninterrupted.result.artifacts


@pytest.mark.parametrize(
    ("control", "outcome", "cause"),
    [
        (Control.PAUSE, Outcome.PAUSED, AttemptCause.RESUME),
        (Control.PREEMPT, Outcome.PREEMPTED, AttemptCause.PREEMPTED),
    ],
)
def test_a_run_that_was_halted_goes_on_at_the_very_step(
    laboratory: Laboratory, uninterrupted: Run, kind: str, control: Control, outcome: Outcome, cause: AttemptCause
) -> None:
    first = interrupt(laboratory, kind, signal.SIGTERM, control)
    assert first.result.outcome is outcome
    assert first.result.artifacts == []
    last = max(first.losses())
    assert first.told("checkpoint_saved")[-1]["step"] == last < 100
    second = resume(laboratory, first, kind, cause)
    rewound = second.events[0]
    assert rewound["event_type"] == "training_rewound"
    assert rewound["data"] == {"to_step": last, "cause": cause.value}
    assert min(second.losses()) == last + 1
    assert_equal_to(uninterrupted, first, second)


def weights_of(laboratory: Laboratory, run: Run) -> str:
    """The SHA-256 of the adapter that a run published."""
    made = run.result.result["model"]
    assert isinstance(made, dict)
    adapter = laboratory.store.materialise(str(made["adapter"])) / "adapter_model.safetensors"
    return hashlib.sha256(adapter.read_bytes()).hexdigest()


def test_paused_at_any_step_it_comes_to_the_very_weights(laboratory: Laboratory, plain: Run) -> None:
    paused_at = []
    for _ in range(PAUSES):
        first = laboratory.begin({**LONG, "finetuningType": LORA})
        wanted = random.SystemRandom().randint(1, 80)
        laboratory.signal(first, signal.SIGTERM, after_step=wanted, control=Control.PAUSE)
        assert first.result.outcome is Outcome.PAUSED
        paused_at.append(max(first.losses()))
        second = resume(laboratory, first, LORA, AttemptCause.RESUME)
        assert min(second.losses()) == paused_at[-1] + 1
        assert weights_of(laboratory, second) == weights_of(laboratory, plain), f"paused at {paused_at[-1]}"


def test_a_stop_leaves_a_checkpoint_and_publishes_nothing(laboratory: Laboratory, kind: str) -> None:
    run = interrupt(laboratory, kind, signal.SIGTERM, Control.STOP)
    assert run.result.outcome is Outcome.STOPPED
    step = run.told("checkpoint_saved")[-1]["step"]
    assert (run.checkpoints / f"checkpoint-{step}" / MANIFEST).is_file()


def test_a_killed_engine_costs_only_the_steps_since_its_last_checkpoint(
    laboratory: Laboratory, uninterrupted: Run, kind: str
) -> None:
    first = interrupt(laboratory, kind, signal.SIGKILL)
    second = resume(laboratory, first, kind, AttemptCause.RETRY)
    saved = [data["step"] for data in first.told("checkpoint_saved")]
    assert second.events[0]["data"]["to_step"] in {saved[-1], saved[-1] + 10}
    assert_equal_to(uninterrupted, first, second)


def _flip_a_bit(newest: Path) -> None:
    weights = next(newest.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)


def _lose_the_optimizer(newest: Path) -> None:
    (newest / "optimizer.pt").unlink()


def _truncate(newest: Path) -> None:
    os.truncate(newest / "optimizer.pt", 1000)


def _leave_an_empty_folder_above(newest: Path) -> None:
    (newest.parent / "checkpoint-999").mkdir()
    shutil.rmtree(newest)


def _leave_it_unfinished(newest: Path) -> None:
    (newest / MANIFEST).unlink()


DAMAGES = [_flip_a_bit, _lose_the_optimizer, _truncate, _leave_an_empty_folder_above, _leave_it_unfinished]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(
    laboratory: Laboratory, plain: Run, damage: Callable[[Path], None]
) -> None:
    first = interrupt(laboratory, LORA, signal.SIGTERM, Control.PAUSE)
    steps = sorted(int(path.name.split("-")[1]) for path in first.checkpoints.glob("checkpoint-*"))
    damage(first.checkpoints / f"checkpoint-{steps[-1]}")
    second = resume(laboratory, first, LORA, AttemptCause.RESUME)
    assert second.events[0]["data"]["to_step"] == steps[-2]
    assert_equal_to(plain, first, second)


def test_without_any_good_checkpoint_a_run_starts_over(laboratory: Laboratory, plain: Run) -> None:
    first = interrupt(laboratory, LORA, signal.SIGTERM, Control.PAUSE)
    for path in first.checkpoints.glob("checkpoint-*"):
        (path / "trainer_state.json").write_text("{}")
    second = resume(laboratory, first, LORA, AttemptCause.RETRY)
    assert second.events[0]["data"]["to_step"] == 0
    assert_equal_to(plain, second)


def test_an_attempt_that_ended_before_its_result_was_kept_only_publishes_again(
    laboratory: Laboratory, plain: Run
) -> None:
    again = resume(laboratory, plain, LORA, AttemptCause.RETRY)
    assert again.events[0]["data"]["to_step"] == 100
    assert again.losses() == {}
    metrics = again.result.result["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["train_loss"] == plain.losses()[100]
    assert again.result.artifacts == plain.result.artifacts


def test_only_the_newest_checkpoints_are_kept(plain: Run) -> None:
    assert {path.name for path in plain.checkpoints.glob("checkpoint-*")} == {
        "checkpoint-80",
        "checkpoint-90",
        "checkpoint-100",
    }


def test_validation_does_not_disturb_a_resumed_run(laboratory: Laboratory) -> None:
    spec = {**LONG, "evalSteps": 15, "validationDataset": "held-out"}
    whole = laboratory.train(spec, validation=SUMS[:8])
    first = laboratory.begin(spec, validation=SUMS[:8])
    eventually(first.losses, lambda losses: max(losses, default=0) > 25, within_s=60)
    first.ask(Control.PAUSE)
    os.kill(laboratory.engine().pid, signal.SIGTERM)
    laboratory.finish(first)
    second = laboratory.train(spec, after=first, validation=SUMS[:8])
    figures = {
        data["step"]: data["val_loss"]
        for run in (first, second)
        for data in run.told("metrics_update")
        if "val_loss" in data
    }
    expected = {data["step"]: data["val_loss"] for data in whole.told("metrics_update") if "val_loss" in data}
    assert figures == expected


@pytest.mark.parametrize("name", ["optimizer.pt", "adapter_model.safetensors"])
def test_a_checkpoint_that_only_looks_whole_fails_one_attempt_and_no_more(laboratory: Laboratory, name: str) -> None:
    first = interrupt(laboratory, LORA, signal.SIGTERM, Control.PAUSE)
    newest = max(first.checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    step = int(newest.name.split("-")[1])
    (newest / name).write_bytes(b"not what the trainer wrote" * 40)
    checkpoints.seal(newest, step)
    second = resume(laboratory, first, LORA, AttemptCause.RESUME)
    failure = second.result.failure
    assert failure is not None
    assert (failure.reason, failure.failure_class, failure.retryable) == ("checkpoint_damaged", "platform", True)
    assert failure.message.startswith(f"the checkpoint of step {step} cannot be read: ")
    third = resume(laboratory, second, LORA, AttemptCause.RETRY)
    assert third.result.outcome is Outcome.SUCCEEDED, third.result
    assert third.told("training_rewound")[0]["to_step"] < step
