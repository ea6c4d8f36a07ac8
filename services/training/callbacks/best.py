"""Keeps the checkpoint with the lowest validation loss, wherever the run goes from there."""

import math
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.course import Course


class BestCallback(TrainerCallback):
    """A better loss is saved at once; it counts when its checkpoint is whole."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._found: tuple[int, float] | None = None

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Ask for a checkpoint when the loss is the lowest so far."""
        loss = (metrics or {}).get("eval_loss", math.nan)
        if math.isfinite(loss) and (self._course.best is None or loss < self._course.best[1]):
            self._found = state.global_step, loss
            control.should_save = True

    def on_sealed(self, step: int) -> None:
        """From now on this is what is kept."""
        if self._found is not None and self._found[0] == step:
            self._course.best, self._found = self._found, None
            self._course.save()
