"""Looks at every loss before a checkpoint is made of it, and ends a run whose loss would spoil the weights."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.course import Course
from services.training.loss_signs import DIVERGING, GRAVE, NOT_FINITE, GradientSigns, LossSigns, Sign
from services.training.stepping import Stepping
from shared.contracts import events
from shared.contracts.failures import Reason
from shared.contracts.safeguards import Watchdog
from shared.contracts.training import TrainingSpec
from shared.worker.attempt import Attempt, UserFault

_LOOK_AFTER = 100
"""Losses that wait at most for their look, where a run logs more seldom."""


class Struck(Exception):
    """The run must go back before the step of its sign."""

    def __init__(self, sign: Sign) -> None:
        super().__init__(sign.kind)
        self.sign = sign


class WatchdogCallback(TrainerCallback):
    """One for all runs of an attempt: it knows the losses from before a rollback."""

    def __init__(self, attempt: Attempt, spec: TrainingSpec, course: Course, stepping: Stepping) -> None:
        self._attempt = attempt
        self._spec = spec
        self._course = course
        self._stepping = stepping
        self._losses = LossSigns()
        self._norms = GradientSigns()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Forget what this run will do again."""
        self._losses.rewind(state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Nothing is saved, and no run ends, on losses that nobody has looked at."""
        if control.should_save or control.should_training_stop:
            self._look()
            self._require_finite(context["model"], state.global_step)
        elif self._stepping.waiting >= _LOOK_AFTER:
            self._look()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """An evaluation may be why a checkpoint is made."""
        if control.should_save:
            self._look()
            self._require_finite(context["model"], state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Look at what was logged."""
        if logs is None or "loss" not in logs:
            return
        if self._stepping.waiting:
            self._look()
        elif state.global_step not in self._course.skipped:
            # A stage with a loop of its own, which has no steps that could be stood in for.
            self._judge(self._losses.take(state.global_step, logs["loss"]))
        # With fp16 a norm that is not finite is how the loss scale is found.
        norm = None if args.fp16 or state.global_step in self._course.skipped else logs.get("grad_norm")
        if norm is not None:
            self._judge(self._norms.take(state.global_step, norm))

    def _look(self) -> None:
        for step, loss in self._stepping.losses():
            self._judge(self._losses.take(step, loss))

    def _require_finite(self, model: torch.nn.Module, step: int) -> None:
        trained = (weight for weight in model.parameters() if weight.requires_grad)
        if not all(bool(torch.isfinite(weight).all()) for weight in trained):
            self._judge(Sign(NOT_FINITE, step, {"weights": float("nan")}, (step,)))

    def _judge(self, sign: Sign | None) -> None:
        if sign is None:
            return
        mode = self._spec.loss_watchdog
        may_recover = mode is Watchdog.RECOVER and self._course.rollbacks < self._spec.max_rollbacks
        if sign.kind in GRAVE and may_recover:
            raise Struck(sign)
        if sign.kind == NOT_FINITE or (sign.kind == DIVERGING and mode is Watchdog.RECOVER):
            raise self._failure(sign)
        if mode is not Watchdog.OFF:
            self._report(sign)

    def _report(self, sign: Sign) -> None:
        told = {"safeguard": "loss_watchdog", "sign": sign.kind, "step": sign.step, "evidence": sign.evidence}
        self._attempt.emit(events.SAFEGUARD_STRUCK, {**told, "reaction": "reported"})

    def _failure(self, sign: Sign) -> UserFault:
        tried = self._course.rollbacks
        after = f" after {tried} rollbacks" if tried else ""
        advice = "lower learningRate, raise warmupRatio, or look for rows that cutoffLen leaves without an answer"
        if sign.kind == NOT_FINITE:
            seen = f"the loss or its gradient is no finite number at step {sign.step}{after}"
            return UserFault(Reason.LOSS_NOT_FINITE, f"{seen}: the weights are lost; {advice}")
        return UserFault(Reason.LOSS_DIVERGED, f"the loss has been rising since step {sign.step}{after}; {advice}")
