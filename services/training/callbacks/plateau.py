"""Lowers the learning rate of a run whose validation loss falls no more."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.course import Course
from services.training.learning_rate import base_rate, set_base_rate
from shared.contracts import events
from shared.worker.attempt import Attempt


class PlateauCallback(TrainerCallback):
    """Reads the trainer's own history, which a resumed run has too."""

    def __init__(self, attempt: Attempt, course: Course, evaluations: int, factor: float) -> None:
        self._attempt = attempt
        self._course = course
        self._evaluations = evaluations
        self._factor = factor

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Count evaluations since the rate was lowered last."""
        seen = [(int(entry["step"]), float(entry["eval_loss"])) for entry in state.log_history if "eval_loss" in entry]
        recent, before = seen[-self._evaluations :], seen[: -self._evaluations]
        scheduler: Any = context.get("lr_scheduler")
        if not before or recent[0][0] <= self._course.plateau_at or not hasattr(scheduler, "base_lrs"):
            return
        lowest = min(loss for _, loss in before)
        if min(loss for _, loss in recent) >= lowest:
            self._lower(scheduler, state.global_step, {"lowest": lowest, "latest": recent[-1][1]})

    def _lower(self, scheduler: Any, step: int, evidence: dict[str, float]) -> None:
        before = base_rate(scheduler)
        now = before * self._factor
        self._course.plateau_at = step
        self._course.set_learning_rate(step, now)
        self._course.save()
        set_base_rate(scheduler, now)
        told = {"safeguard": "plateau", "sign": "val_loss_plateau", "step": step, "reaction": "slower"}
        seen = {**evidence, "evaluations": self._evaluations}
        rates = {"from": before, "to": now}
        self._attempt.emit(events.SAFEGUARD_STRUCK, {**told, "evidence": seen, "learning_rate": rates})
