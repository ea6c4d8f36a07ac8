"""Acts before memory runs out: a checkpoint, then fewer rows at a time, and at one row a clean end."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.course import Course
from shared.contracts.failures import Reason
from shared.contracts.training import TrainingSpec
from shared.worker.attempt import EngineFault

GB = 10**9
_EVERY_S = 0.5
_STATUS = Path("/proc/self/status")
_FORGET_PEAK = "5"


class MemoryShort(Exception):
    """The run has a checkpoint, and is to go on with smaller micro-batches."""

    def __init__(self, evidence: dict[str, object]) -> None:
        super().__init__("memory is nearly used up")
        self.evidence = evidence


@contextmanager
def hard_limit(limit_gb: float | None) -> Iterator[None]:
    """Let this process allocate no more than brings it from what it holds now to the limit; Linux alone has it."""
    if limit_gb is None or not _STATUS.exists():
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    held = _sizes()
    allowed = held["VmData"] + max(0, int(limit_gb * GB) - held["VmRSS"])
    if before[1] != resource.RLIM_INFINITY:
        allowed = min(allowed, before[1])
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


class MemoryGuardCallback(TrainerCallback):
    """Looks at the highest that the process held since the run began, not only at what is left after a step."""

    def __init__(self, spec: TrainingSpec, course: Course, limit_gb: float) -> None:
        self._spec = spec
        self._course = course
        self._threshold = limit_gb * GB * spec.memory_guard_at
        self._limit_gb = limit_gb
        self._looked_at = 0.0
        self._evidence: dict[str, object] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Forget what reading the model took."""
        self._evidence = {}
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint and the end of this run."""
        if self._evidence or state.global_step >= state.max_steps or monotonic() - self._looked_at < _EVERY_S:
            return
        self._looked_at = monotonic()
        peak = _sizes().get("VmHWM", 0)
        if peak >= self._threshold:
            held = {"peak_gb": round(peak / GB, 3), "limit_gb": self._limit_gb}
            self._evidence = {**held, "share": round(peak / GB / self._limit_gb, 3), "step": state.global_step}
            control.should_save = control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Go round again with fewer rows at a time, where there is more than one."""
        if not self._evidence:
            return
        if (self._course.batch_size or self._spec.own_batches[0]) > 1:
            raise MemoryShort(self._evidence)
        raise EngineFault(
            Reason.OUT_OF_MEMORY_HOST,
            f"the training holds {self._evidence['peak_gb']} of {self._limit_gb} GB with one row at a time; its newest "
            f"checkpoint is of step {state.global_step}; lower cutoffLen or loraRank, or raise memoryLimitGb",
        )


def _sizes() -> dict[str, int]:
    """What the kernel says of this process's memory, in bytes."""
    fields = (line.split() for line in _STATUS.read_text().splitlines() if line.startswith("Vm"))
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in fields}
