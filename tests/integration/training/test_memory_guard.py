"""A training that comes near its memory limit takes smaller steps towards the end instead of a fall."""

from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from services.training.callbacks.memory_guard import HardLimit, MemoryGuardCallback, MemoryShort
from services.training.course import Course
from services.training.memory_rooms import GB, MemoryRoom
from shared.contracts.failures import Reason
from shared.contracts.training import TrainingSpec
from shared.contracts.work import Outcome
from shared.worker.attempt import EngineFault
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
    assert {data["evidence"]["memory"] for data in told} == {"host"}
    assert run.told("checkpoint_saved")[-1]["step"] == max(run.losses()) < 400


def test_a_run_that_stays_below_is_let_be(laboratory: Laboratory) -> None:
    run = laboratory.train({**QUICK, "memoryLimitGb": 50.0})
    assert run.result.outcome is Outcome.SUCCEEDED
    assert run.told("safeguard_struck") == []


def test_beyond_the_limit_allocations_fail_and_afterwards_no_more() -> None:
    held = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    # A twentieth of a limit is kept back.
    with HardLimit((held + 200 * 2**20) / 0.95 / GB).held():
        assert len(bytearray(20 * 2**20)) > 0
        with pytest.raises(MemoryError):
            bytearray(600 * 2**20)
    assert len(bytearray(600 * 2**20)) > 0


def test_a_thread_that_finds_no_room_below_the_limit_is_told_as_memory() -> None:
    held = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    with pytest.raises(MemoryError, match="stack of a thread"), HardLimit((held + 200 * 2**20) / 0.95 / GB).held():
        raise RuntimeError("can't start new thread")
    with pytest.raises(RuntimeError, match="new thread"), HardLimit(None).held():
        raise RuntimeError("can't start new thread")


class FakeGpu:
    """A device whose peak is what the test says."""

    def __init__(self) -> None:
        self.peak_gb = 0.0
        self.forgotten = 0

    def room(self) -> MemoryRoom:
        """Sixteen gigabytes of it, of which others hold four."""
        return MemoryRoom(
            "gpu", 0.9, self.forget, lambda: int(self.peak_gb * GB), lambda: 12 * GB, Reason.OUT_OF_MEMORY_GPU, "less"
        )

    def forget(self) -> None:
        """Begin anew."""
        self.forgotten += 1


def test_a_gpu_that_fills_up_is_answered_like_the_hosts_memory(tmp_path: Path) -> None:
    gpu, spec = FakeGpu(), TrainingSpec.model_validate({**QUICK, "batchSize": 2, "gpuMemoryGuardAt": 0.9})
    course = Course.of(tmp_path)
    arguments = TrainingArguments(output_dir=str(tmp_path / "out"), use_cpu=True, report_to="none")
    state = TrainerState(max_steps=9, global_step=4)

    def steps(*peaks_gb: float) -> TrainerControl:
        guard, control = MemoryGuardCallback(spec, course, [gpu.room()]), TrainerControl()
        guard.on_train_begin(arguments, state, control)
        for gpu.peak_gb in peaks_gb:
            guard.on_step_end(arguments, state, control)
        guard.on_train_end(arguments, state, control)
        return control

    assert not steps(10.7).should_save
    with pytest.raises(MemoryShort) as short:
        steps(10.8)
    assert short.value.evidence == {"peak_gb": 10.8, "limit_gb": 12.0, "memory": "gpu", "share": 0.9, "step": 4}
    course.shrink(2, 1)
    with pytest.raises(EngineFault, match=r"11\.5 of 12\.0 GB \(gpu\) with one row") as fault:
        steps(11.5)
    assert fault.value.reason is Reason.OUT_OF_MEMORY_GPU
    assert gpu.forgotten == 3


def test_without_a_gpu_a_guard_of_one_is_refused(laboratory: Laboratory) -> None:
    failure = laboratory.train({**QUICK, "gpuMemoryGuardAt": 0.9}).result.failure
    assert failure is not None
    assert failure.reason == "option_unsupported"
    assert "memoryLimitGb" in failure.message
