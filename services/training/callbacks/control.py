"""Lets a stop, pause or preemption end the training after a checkpoint at the next step."""

import signal
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class TrainingHalted(Exception):
    """The training ended early, with a checkpoint, because it was asked to."""


class ControlCallback(TrainerCallback):
    """SIGTERM asks; the step under way is finished, logged, evaluated and saved first."""

    def __init__(self) -> None:
        self._is_asked = False

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self._is_asked = True

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take over SIGTERM, which until now just ended the process: there was nothing to save."""
        signal.signal(signal.SIGTERM, self._ask)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Turn the order into a checkpoint and the end."""
        if self._is_asked:
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Spare an unfinished model what follows a training: saving it once more, measuring and describing it."""
        if self._is_asked and state.global_step < state.max_steps:
            raise TrainingHalted
