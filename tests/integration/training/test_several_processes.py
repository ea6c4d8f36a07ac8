"""Two processes train one model: the same losses, stopped and resumed together, ended together."""

import os
import signal
from pathlib import Path

import pytest

from shared.contracts.commands import Action
from shared.contracts.work import Control, Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Laboratory
from tests.waiting import eventually

LONG = {
    **QUICK, "maxSteps": 60, "saveSteps": 20, "epochs": 50.0, "validationDataset": "sums", "evalSteps": 15,
    "keepBest": True,
}  # fmt: skip
BY_TWO = {**LONG, "parallel": {"processes": 2}}
SLOWER = (Action.SET_LEARNING_RATE, 0.004)


def processes_of(attempt_id: str) -> dict[int, int]:
    """Process ids of an attempt's ranks."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            title = (entry / "cmdline").read_bytes().strip(b"\0").decode()
        except OSError:
            continue
        if title.startswith(f"imts:rank:{attempt_id}:"):
            found[int(title.rpartition(":")[2])] = int(entry.name)
    return found


@pytest.mark.timeout(300)
def test_two_processes_learn_what_one_learns_also_when_they_are_paused_between(laboratory: Laboratory) -> None:
    told, validation = SLOWER, SUMS[:8]
    alone = laboratory.train(LONG, told=told, validation=validation)
    first = laboratory.begin(BY_TWO, told=told, validation=validation)
    laboratory.signal(first, signal.SIGTERM, after_step=20, control=Control.PAUSE)
    assert first.result.outcome is Outcome.PAUSED, laboratory.log()
    last = max(first.losses())
    assert first.told("checkpoint_saved")[-1]["step"] == last < 60
    second = laboratory.train(BY_TWO, after=first, validation=validation)
    assert second.result.outcome is Outcome.SUCCEEDED, laboratory.log()
    assert min(second.losses()) == last + 1
    assert {**first.losses(), **second.losses()} == pytest.approx(alone.losses(), rel=1e-4)
    for run in (first, second):
        assert [event["seq"] for event in run.events] == list(range(1, len(run.events) + 1))
    assert second.result.result["metrics"]["best_step"] == alone.result.result["metrics"]["best_step"]  # type: ignore[index,call-overload]


@pytest.mark.timeout(300)
def test_a_killed_process_ends_the_attempt_and_is_named(laboratory: Laboratory) -> None:
    run = laboratory.begin({**BY_TWO, "maxSteps": 5000}, validation=SUMS[:8])
    attempt_id = f"{run.folder.parent.name}.1"
    eventually(run.losses, lambda losses: len(losses) > 2, within_s=120)
    ranks = processes_of(attempt_id)
    assert sorted(ranks) == [0, 1]
    os.kill(ranks[1], signal.SIGKILL)
    laboratory.finish(run)
    failure = run.result.failure
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("distributed_failed", True)
    assert "process 2 of 2 was ended by SIGKILL" in failure.message
    assert processes_of(attempt_id) == {}
