"""A training that comes near its memory limit takes smaller steps towards the end instead of a fall."""

from pathlib import Path

import pytest

from services.training.callbacks.memory_guard import GB, hard_limit
from shared.contracts.work import Outcome
from tests.integration.training.laboratory import QUICK, Laboratory

LOOKS_ALWAYS = {**QUICK, "memoryLimitGb": 50.0, "memoryGuardAt": 0.001, "maxSteps": 400, "epochs": 100.0}


def test_the_guard_halves_the_rows_and_ends_cleanly_when_one_is_left(laboratory: Laboratory) -> None:
    run = laboratory.train(LOOKS_ALWAYS)
    told = run.told("safeguard_struck")
    assert [(data["safeguard"], data["sign"]) for data in told] == [("memory_guard", "memory_short")] * 2
    assert [(data["batch_size"], data["gradient_accumulation_steps"]) for data in told] == [(2, 2), (1, 4)]
    assert all(data["to_step"] == data["evidence"]["step"] for data in told), "nothing is done twice"
    failure = run.result.failure
    assert failure is not None
    assert failure.reason == "out_of_memory_host"
    assert "memoryLimitGb" in failure.message
    assert run.told("checkpoint_saved")[-1]["step"] == max(run.losses()) < 400


def test_a_run_that_stays_below_is_let_be(laboratory: Laboratory) -> None:
    run = laboratory.train({**QUICK, "memoryLimitGb": 50.0})
    assert run.result.outcome is Outcome.SUCCEEDED
    assert run.told("safeguard_struck") == []


def test_beyond_the_limit_allocations_fail_and_afterwards_no_more() -> None:
    held = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    with hard_limit((held + 200 * 2**20) / GB):
        assert len(bytearray(20 * 2**20)) > 0
        with pytest.raises(MemoryError):
            bytearray(600 * 2**20)
    assert len(bytearray(600 * 2**20)) > 0
