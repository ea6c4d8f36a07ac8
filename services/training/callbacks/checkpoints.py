"""Seals every checkpoint the trainer writes, keeps the newest ones, and times them when nobody else did."""

import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training import checkpoints
from shared.contracts import events
from shared.worker.attempt import Attempt

_TIMED_PER_RUN = 10
_TIMED_GAP_S = 2.0
"""A run of seconds has no use for ten checkpoints."""


class CheckpointCallback(TrainerCallback):
    """`checkpoint_saved` says that the run can go on from here whatever happens."""

    def __init__(self, attempt: Attempt, *, keep: int, is_timed: bool) -> None:
        self._attempt = attempt
        self._keep = keep
        self._is_timed = is_timed
        self._every = 0
        self._last = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Work out how far apart timed checkpoints are."""
        self._every = math.ceil(state.max_steps / _TIMED_PER_RUN) if self._is_timed else 0
        self._last = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint each tenth of the run, unless the last one is moments old."""
        if self._every and state.global_step % self._every == 0 and time.monotonic() - self._last >= _TIMED_GAP_S:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal first, tell then, and only then let go of older ones."""
        output = Path(args.output_dir)
        started = time.monotonic()
        size = checkpoints.seal(output / f"checkpoint-{state.global_step}", state.global_step)
        self._last = time.monotonic()
        self._attempt.emit(
            events.CHECKPOINT_SAVED,
            {"step": state.global_step, "epoch": state.epoch, "bytes": size, "seconds": self._last - started},
        )
        checkpoints.keep_newest(output, self._keep)
