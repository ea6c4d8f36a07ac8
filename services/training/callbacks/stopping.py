"""Ends a training whose validation loss falls no more."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from shared.contracts import events
from shared.worker.attempt import Attempt


class StoppingCallback(TrainerCallback):
    """Reads the trainer's own history, which a resumed run has too."""

    def __init__(self, attempt: Attempt, evaluations: int) -> None:
        self._attempt = attempt
        self._evaluations = evaluations

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop with a checkpoint when the lowest loss lies too far back."""
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        if not losses or len(losses) - 1 - losses.index(min(losses)) < self._evaluations:
            return
        control.should_save = control.should_training_stop = True
        message = f"the validation loss has not fallen for {self._evaluations} evaluations: the training ends here"
        self._attempt.emit(events.LOG, {"level": "info", "message": message, "step": state.global_step})
