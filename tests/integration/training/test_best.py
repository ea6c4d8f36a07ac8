"""What is published is the best that was seen, where that was asked for; a run that stands still is slowed down."""

import hashlib
import signal

import pytest

from services.training.checkpoints import MANIFEST
from shared.contracts.work import Control, Outcome
from tests.integration.training.laboratory import QUICK, Laboratory, Run, conversation

# Learning other sums by heart makes these worse after a while.
HELD_OUT = [conversation(f"What is {a} + {b}?", str(a + b + 7)) for a in range(4) for b in range(2)]
SPEC = {**QUICK, "maxSteps": 40, "validationDataset": "held-out", "evalSteps": 5, "saveSteps": 10, "keepCheckpoints": 1,
        "keepBest": True}  # fmt: skip


def evaluations(run: Run) -> dict[int, float]:
    """Validation loss by step."""
    return {data["step"]: data["val_loss"] for data in run.told("metrics_update") if "val_loss" in data}


def published(laboratory: Laboratory, run: Run) -> str:
    model = run.result.result["model"]
    assert isinstance(model, dict)
    folder = laboratory.store.materialise(str(model["adapter"]))
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def overdone(laboratory: Laboratory) -> Run:
    """It learns too long."""
    return laboratory.train(SPEC, validation=HELD_OUT)


def test_the_best_checkpoint_outlives_newer_ones_and_is_what_is_published(
    laboratory: Laboratory, overdone: Run
) -> None:
    losses = evaluations(overdone)
    step = min(losses, key=lambda step: losses[step])
    assert step < 40, losses
    kept = overdone.checkpoints / f"checkpoint-{step}"
    assert (kept / MANIFEST).is_file()
    weights = hashlib.sha256((kept / "adapter_model.safetensors").read_bytes()).hexdigest()
    assert published(laboratory, overdone) == weights
    metrics = overdone.result.result["metrics"]
    assert isinstance(metrics, dict)
    assert (metrics["best_step"], metrics["best_val_loss"], metrics["step"]) == (step, losses[step], 40)
    assert len(list(overdone.checkpoints.glob("checkpoint-*"))) == 2


def test_the_best_is_remembered_over_a_pause(laboratory: Laboratory, overdone: Run) -> None:
    first = laboratory.begin(SPEC, validation=HELD_OUT)
    laboratory.signal(first, signal.SIGTERM, after_step=25, control=Control.PAUSE)
    assert first.result.outcome is Outcome.PAUSED
    second = laboratory.train(SPEC, after=first, validation=HELD_OUT)
    assert published(laboratory, second) == published(laboratory, overdone)


def test_a_best_checkpoint_that_was_damaged_is_not_published(laboratory: Laboratory) -> None:
    first = laboratory.begin(SPEC, validation=HELD_OUT)
    laboratory.signal(first, signal.SIGTERM, after_step=30, control=Control.PAUSE)
    losses = evaluations(first)
    step = min(losses, key=lambda step: losses[step])
    (first.checkpoints / f"checkpoint-{step}" / "adapter_model.safetensors").write_bytes(b"nothing")
    second = laboratory.train(SPEC, after=first, validation=HELD_OUT)
    (warning,) = [data for data in second.told("log") if "best checkpoint" in data["message"]]
    assert warning["step"] == step
    metrics = second.result.result["metrics"]
    assert isinstance(metrics, dict)
    assert "best_step" not in metrics


def test_the_learning_rate_is_lowered_while_the_validation_loss_stands_still(laboratory: Laboratory) -> None:
    spec = {
        **SPEC,
        "keepBest": False,
        "plateauEvaluations": 2,
        "plateauFactor": 0.1,
        "lrSchedulerType": "constant",
        "maxSteps": 60,
        "evalSteps": 2,
    }
    run = laboratory.train(spec, validation=HELD_OUT)
    first, *_ = run.told("safeguard_struck")
    assert (first["safeguard"], first["reaction"]) == ("plateau", "slower")
    assert first["learning_rate"] == {"from": 0.01, "to": pytest.approx(0.001)}
    assert first["evidence"]["latest"] >= first["evidence"]["lowest"]
    rates = {data["step"]: data["learning_rate"] for data in run.told("metrics_update") if "learning_rate" in data}
    assert rates[first["step"]] == 0.01
    assert rates[first["step"] + 1] == pytest.approx(0.001)
