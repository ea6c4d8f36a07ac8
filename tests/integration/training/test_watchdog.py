"""A loss that would spoil the weights sends the run back to a good checkpoint, slower and past what it met."""

import pytest

from shared.contracts.work import Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Laboratory, Run, conversation

WILD = {"learningRate": 1.0, "finetuningType": "full", "maxSteps": 200, "maxGradNorm": 1000.0, "weightDecay": 10.0}
POISON = conversation("zebra quilt xylophone jigsaw " * 3, "~ @ # | } { ^ % " * 6)
CALM = {**QUICK, "batchSize": 1, "epochs": 1.0, "maxSteps": None, "learningRate": 0.005, "saveSteps": 10, "seed": 5,
        "finetuningType": "full"}  # fmt: skip


def struck(run: Run) -> list[dict[str, object]]:
    return [data for data in run.told("safeguard_struck") if data["reaction"] == "rolled_back"]


def test_a_loss_that_is_no_number_is_tried_slower_and_fails_in_the_end(laboratory: Laboratory) -> None:
    run = laboratory.train({**QUICK, **WILD, "maxRollbacks": 2})
    told = struck(run)
    assert [data["learning_rate"] for data in told] == [{"from": 1.0, "to": 0.5}, {"from": 0.5, "to": 0.25}]
    assert [data["to_step"] for data in run.told("training_rewound")] == [data["to_step"] for data in told]
    failure = run.result.failure
    assert failure is not None
    assert failure.reason in {"loss_not_finite", "loss_diverged"}
    assert "after 2 rollbacks" in failure.message


def test_a_run_that_was_too_fast_ends_well_once_it_is_slow_enough(laboratory: Laboratory) -> None:
    run = laboratory.train({**QUICK, **WILD, "maxSteps": 60, "maxRollbacks": 15})
    assert run.result.outcome is Outcome.SUCCEEDED, run.result
    told = struck(run)
    assert told
    assert run.told("metrics_update")[-1]["learning_rate"] < 1.0
    assert run.told("metrics_update")[-1]["step"] == 60


@pytest.fixture(scope="module")
def poisoned(laboratory: Laboratory) -> Run:
    """Among rows that are learnt by heart lies one of another kind."""
    return laboratory.train(CALM, rows=[*SUMS * 3, POISON])


def test_a_spike_is_answered_by_a_rollback_past_the_batch(laboratory: Laboratory, poisoned: Run) -> None:
    assert poisoned.result.outcome is Outcome.SUCCEEDED, poisoned.result
    first = struck(poisoned)[0]
    assert first["sign"] == "loss_spike"
    skipped = first["skipped_steps"]
    assert isinstance(skipped, list)
    again = [data for data in poisoned.told("metrics_update") if data["step"] in skipped]
    assert "train_loss" not in again[-1]
    assert again[-1]["skipped_steps"] == 1
    evidence = first["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["loss"] > evidence["median"]


def test_whoever_only_wants_to_know_is_only_told(laboratory: Laboratory) -> None:
    run = laboratory.train({**CALM, "lossWatchdog": "report"}, rows=[*SUMS * 3, POISON])
    told = run.told("safeguard_struck")
    assert {data["reaction"] for data in told} == {"reported"}
    assert "loss_spike" in {data["sign"] for data in told}
    assert run.told("training_rewound") == []
