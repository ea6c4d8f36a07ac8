"""Hugging Face Trainer in one import: `Trainer(…, callbacks=[ImtsCallback()])`."""

import time
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from imts.tracking.run import Run
from imts.tracking.starting import start
from shared.contracts.events import CHECKPOINT_SAVED

_NAMES = {"loss": "train_loss", "eval_loss": "val_loss", "eval_accuracy": "val_accuracy"}
_CONFIG = (
    "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps",
    "lr_scheduler_type", "warmup_ratio", "weight_decay", "seed",
)  # fmt: skip


def figures_of(logs: Mapping[str, Any]) -> dict[str, Any]:
    """What a Trainer logs, in the words of the event log."""
    figures = {_NAMES.get(key, key): value for key, value in logs.items() if key != "grad_norm"}
    if "grad_norm" in logs:
        figures["advanced_metrics"] = {"gradient_norm": logs["grad_norm"]}
    return figures


class ImtsCallback(TrainerCallback):
    """Logs what the Trainer logs; only the first process of a distributed training speaks."""

    def __init__(self, run: Run | None = None, *, name: str = "", project: str = "default") -> None:
        """A `run` that is given stays open when the training ends; without one the callback has its own."""
        self.run = run
        self._is_own = run is None
        self._name = name
        self._project = project
        self._began = (0.0, 0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The run begins with the training."""
        if not state.is_world_process_zero:
            return
        self._began = (time.monotonic(), state.global_step)
        if self._is_own:
            config = {name: getattr(args, name, None) for name in _CONFIG}
            self.run = start(name=self._name or args.run_name or "", project=self._project, config=config)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """One event for each time the Trainer logs."""
        if self.run is None or not logs or not state.is_world_process_zero:
            return
        figures = figures_of(logs) | {"total_steps": state.max_steps}
        since, first_step = self._began
        done, seconds = state.global_step - first_step, time.monotonic() - since
        if done > 0 and seconds > 0:
            figures["training_speed"] = done / seconds
            figures["eta_seconds"] = round((state.max_steps - state.global_step) * seconds / done, 1)
        self.run.log(figures, step=state.global_step)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A checkpoint is on disk."""
        if self.run is not None and state.is_world_process_zero:
            self.run.event(CHECKPOINT_SAVED, {"step": state.global_step, "path": f"checkpoint-{state.global_step}"})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The run ends with the training; a script that dies before leaves it to the end of the process."""
        if self.run is not None and self._is_own:
            self.run.finish()
