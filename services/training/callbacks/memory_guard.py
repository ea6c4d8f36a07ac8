"""Acts before memory runs out: a checkpoint, then fewer rows at a time, and at one row a clean end."""

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.course import Course
from services.training.memory_rooms import GB, STATUS, MemoryRoom, sizes
from shared.contracts.failures import Reason
from shared.contracts.training import TrainingSpec
from shared.worker.attempt import EngineFault
from shared.worker.failures.diagnosis import recognise
from shared.worker.failures.faults import faults_of

_EVERY_S = 0.5
_KEPT_BACK = 0.05
"""Of the limit: the kernel bounds what is mapped, and a little of that was mapped before and is only touched later."""


class MemoryShort(Exception):
    """The run has a checkpoint, and is to go on with smaller micro-batches."""

    def __init__(self, evidence: dict[str, object]) -> None:
        super().__init__("memory is nearly used up")
        self.evidence = evidence


class HardLimit:
    """Lets this process allocate no more than brings it from what it first held to the limit; Linux alone has it."""

    def __init__(self, limit_gb: float | None) -> None:
        self._limit_gb = limit_gb
        self._allowed = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Until the end of the block; MemoryError or torch's own fault in it where there is no more."""
        if self._limit_gb is None or not STATUS.exists():
            with _threads_told_as_memory():
                yield
            return
        before = resource.getrlimit(resource.RLIMIT_DATA)
        # Measured once: what an earlier run gave back stays mapped, and would count as room a second time.
        self._allowed = self._allowed or _data_at(self._limit_gb)
        allowed = self._allowed if before[1] == resource.RLIM_INFINITY else min(self._allowed, before[1])
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, before[1]))
        try:
            with _threads_told_as_memory():
                yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)


@contextmanager
def _threads_told_as_memory() -> Iterator[None]:
    """Where what may be mapped is bounded, a thread that cannot start has found no room for its stack."""
    try:
        yield
    except RuntimeError as fault:
        is_bounded = resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY
        if is_bounded and recognise(faults_of(fault)) is Reason.TOO_MANY_PROCESSES:
            raise MemoryError(f"no room for the stack of a thread: {fault}") from fault
        raise


def _data_at(limit_gb: float) -> int:
    """The bytes that may be mapped when the process has come from what it holds now to its limit."""
    now = sizes()
    return now["VmData"] + max(0, int(limit_gb * GB * (1 - _KEPT_BACK)) - now["VmRSS"])


class MemoryGuardCallback(TrainerCallback):
    """Looks at the highest that the process held since the run began, not only at what is left after a step."""

    def __init__(self, spec: TrainingSpec, course: Course, rooms: Sequence[MemoryRoom]) -> None:
        self._spec = spec
        self._course = course
        self._rooms = rooms
        self._looked_at = 0.0
        self._short: tuple[MemoryRoom, dict[str, object]] | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Forget what reading the model took."""
        self._short = None
        for room in self._rooms:
            room.forget()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint and the end of this run."""
        if self._short or state.global_step >= state.max_steps or monotonic() - self._looked_at < _EVERY_S:
            return
        self._looked_at = monotonic()
        for room in self._rooms:
            peak, limit = room.peak(), room.limit()
            if peak >= limit * room.guard_at:
                held = {"peak_gb": round(peak / GB, 3), "limit_gb": round(limit / GB, 3)}
                evidence = {**held, "memory": room.name, "share": round(peak / limit, 3), "step": state.global_step}
                self._short = room, evidence
                control.should_save = control.should_training_stop = True
                return

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Go round again with fewer rows at a time, where there is more than one."""
        if self._short is None:
            return
        room, evidence = self._short
        if (self._course.batch_size or self._spec.batch_size) > 1:
            raise MemoryShort(evidence)
        raise EngineFault(
            room.reason,
            f"the training holds {evidence['peak_gb']} of {evidence['limit_gb']} GB ({room.name}) with one row at a "
            f"time; its newest checkpoint is of step {state.global_step}; {room.advice}",
        )
