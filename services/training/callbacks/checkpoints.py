"""Seals every checkpoint the trainer writes, keeps the newest ones, and times them when nobody else did."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training import checkpoints
from services.training.course import Course
from shared.contracts import events
from shared.worker.attempt import Attempt

OnSealed = Callable[[int], None]
"""Told of each step whose checkpoint is whole."""
_TIMED_PER_RUN = 10
_TIMED_GAP_S = 2.0
"""A run of seconds has no use for ten checkpoints."""


class CheckpointCallback(TrainerCallback):
    """`checkpoint_saved` says that the run can go on from here whatever happens."""

    def __init__(self, attempt: Attempt, *, keep: int, is_timed: bool, on_sealed: OnSealed, course: Course) -> None:
        self._attempt = attempt
        self._keep = keep
        self._is_timed = is_timed
        self._on_sealed = on_sealed
        self._course = course
        self._every = 0
        self._last = 0.0
        self._written: int | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Work out how far apart timed checkpoints are."""
        self._every = math.ceil(state.max_steps / _TIMED_PER_RUN) if self._is_timed else 0
        self._last = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint each tenth of the run, unless the last one is moments old."""
        if self._every and state.global_step % self._every == 0 and time.monotonic() - self._last >= _TIMED_GAP_S:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Leave the new checkpoint open: callbacks of LLaMA-Factory that come after this one still write to it."""
        self._written = state.global_step

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal what was saved after the step before."""
        self._seal(args, state)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal what was saved at the epoch's last step."""
        self._seal(args, state)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal what was saved last."""
        self._seal(args, state)

    def _seal(self, args: TrainingArguments, state: TrainerState) -> None:
        """Seal first, tell then, and only then let go of older ones."""
        if self._written is None:
            return
        step, self._written = self._written, None
        output = Path(args.output_dir)
        started = time.monotonic()
        size = checkpoints.seal(output / f"checkpoint-{step}", step)
        self._last = time.monotonic()
        self._attempt.emit(
            events.CHECKPOINT_SAVED,
            {"step": step, "epoch": state.epoch, "bytes": size, "seconds": self._last - started},
        )
        self._on_sealed(step)
        best = self._course.best
        checkpoints.keep_newest(output, self._keep, best[0] if best else None)
