"""Keeps the adapter that PiSSA began with, which its base was relieved of."""

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class BeginningCallback(TrainerCallback):
    """Saves the adapter as it was before the first step, once a job: a resumed attempt begins somewhere else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Write it whole or not at all."""
        if state.global_step or self._folder.exists():
            return
        unfinished = self._folder.with_suffix(".tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        context["model"].save_pretrained(unfinished)
        unfinished.rename(self._folder)
