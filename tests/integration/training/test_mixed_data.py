"""Several data sets in one training, and rows held out of it."""

import signal
from typing import Any

from shared.contracts.work import AttemptCause, Control, Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Event, Laboratory, Run, conversation
from tests.integration.training.test_objectives import succeeded

OTHERS = [conversation(f"Say {number}", str(number)) for number in range(90)]
MIX = {
    **{name: value for name, value in QUICK.items() if name != "dataset"},
    "datasets": [{"name": "sums", "weight": 2}, {"name": "others", "weight": 1}],
    "validationSplit": 0.1,
}


def train(laboratory: Laboratory, spec: Event, **more: Any) -> Run:
    return succeeded(laboratory.train(spec, mix=[SUMS, OTHERS], **more))


def test_a_mix_has_the_rows_that_its_weights_say(laboratory: Laboratory) -> None:
    spec = {**MIX, "epochs": 1.0, "batchSize": 1, "validationSplit": None}
    del spec["maxSteps"]
    run = train(laboratory, spec)
    (told,) = [data for data in run.told("log") if "rows of the mix" in data["message"]]
    assert told["rows"] == [64, 32]
    assert max(run.losses()) == 96


def test_a_part_of_the_rows_is_validated_on(laboratory: Laboratory) -> None:
    run = train(laboratory, {**MIX, "evalSteps": 6})
    measured = [data for data in run.told("metrics_update") if "val_loss" in data]
    assert [data["step"] for data in measured] == [6, 12]


def test_an_interrupted_mix_goes_on_bit_for_bit(laboratory: Laboratory) -> None:
    spec = {**MIX, "maxSteps": 60, "evalSteps": 7, "mixStrategy": "interleave_over", "saveSteps": 10}
    whole = train(laboratory, spec)
    cut = laboratory.begin(spec, mix=[SUMS, OTHERS])
    laboratory.signal(cut, signal.SIGTERM, after_step=20, control=Control.PAUSE)
    assert cut.result.outcome is Outcome.PAUSED
    resumed = train(laboratory, spec, after=cut, cause=AttemptCause.RESUME)
    assert {**cut.losses(), **resumed.losses()} == whole.losses()
    assert resumed.result.artifacts == whole.result.artifacts


def test_a_bad_row_is_named_with_its_data_set(laboratory: Laboratory) -> None:
    bad = [*OTHERS[:3], {"messages": [*OTHERS[3]["messages"][:1], {"role": "assistant", "content": 7}]}]
    run = laboratory.train({**MIX, "validationSplit": None}, mix=[SUMS, bad])
    assert run.result.failure is not None
    assert run.result.failure.reason == "bad_data_row"
    assert run.result.failure.message.startswith("row 4 of data set sums@1")


def test_rows_that_cannot_be_split_are_told(laboratory: Laboratory) -> None:
    run = laboratory.train({**QUICK, "validationSplit": 0.5}, rows=[SUMS[0]] * 4)
    assert run.result.failure is not None
    assert run.result.failure.reason == "no_trainable_rows"
