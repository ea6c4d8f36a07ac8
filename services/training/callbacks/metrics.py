"""Reports the training's figures: one `metrics_update` a logging step, one `epoch_completed` an epoch."""

import math
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.callbacks.answers import FIGURES
from services.training.course import Course
from services.training.memory_gauge import MemoryGauge
from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.worker.attempt import Attempt

_MEASURED = {"eval_loss": "val_loss", "eval_accuracy": "val_accuracy"}


class MetricsCallback(TrainerCallback):
    """The only source of a training's figures; what LLaMA-Factory logs by itself is for people."""

    def __init__(self, attempt: Attempt, model_name: str, parameters: int, course: Course) -> None:
        self.latest: JsonObject = {}
        """Newest value of each figure, for the job's result."""
        self._attempt = attempt
        self._course = course
        self._model: JsonObject = {"name": model_name, "parameters": parameters}
        self._memory = MemoryGauge()
        self._held: JsonObject | None = None
        self._is_over = False
        self._epochs_told = 0
        self._first_step = self._window_step = self._window_tokens = 0
        self._begun = self._window_begun = 0.0
        self._first_begun = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clocks and say how long the run will be."""
        self._first_step = self._window_step = state.global_step
        self._window_tokens = int(state.num_input_tokens_seen)
        self._begun = self._window_begun = perf_counter()
        self._first_begun = self._first_begun or self._begun
        self._is_over = False
        self._epochs_told = int(state.epoch or 0)
        progress = {"done": state.global_step, "total": state.max_steps, "what": "steps"}
        self._attempt.emit(events.PROGRESS, progress)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A run shorter than its logging interval is logged once, at its end."""
        if state.global_step == state.max_steps < args.logging_steps:
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Report a logging step; held until the evaluation of the same step is there to go with it."""
        if logs is None or "loss" not in logs:
            return
        figures = self._figures(args, state, logs)
        if not math.isfinite(logs["loss"]):
            # The watchdog, which comes next, ends the run.
            self._attempt.emit(events.METRICS_UPDATE, figures)
            return
        if control.should_evaluate:
            self._held = figures
        else:
            self._report(figures)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Report the validation loss with its step's other figures, or alone when that step logs none."""
        if self._is_over or metrics is None or "eval_loss" not in metrics:
            return
        figures = self._held or self._position(state)
        self._held = None
        # The time an evaluation takes is not the training's.
        pause = metrics.get("eval_runtime", 0.0)
        self._begun += pause
        self._window_begun += pause
        measured = {ours: metrics[theirs] for theirs, ours in _MEASURED.items() if theirs in metrics}
        self._report({**figures, **measured, **_preferences(metrics, "eval_", "val_")})

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the epoch before its checkpoint: a run resumed from there will not come back to it."""
        self._close_epoch(state)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the epoch."""
        self._close_epoch(state)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The last step was evaluated already: skip LLaMA-Factory's own evaluation after the training."""
        self._is_over = True
        self._close_epoch(state)
        args.do_eval = False

    def summary(self) -> JsonObject:
        """The newest figures that say how the training went."""
        kept = (
            "epoch",
            "step",
            "total_steps",
            "train_loss",
            "val_loss",
            "learning_rate",
            "tokens_per_second",
            *FIGURES,
        )
        found = {name: self.latest[name] for name in kept if name in self.latest}
        return {**found, "seconds": round(perf_counter() - self._first_begun, 3)}

    def _report(self, figures: JsonObject) -> None:
        self.latest.update(figures)
        self._attempt.emit(events.METRICS_UPDATE, figures)

    def _close_epoch(self, state: TrainerState) -> None:
        epoch = round(state.epoch or 0)
        if epoch > self._epochs_told and abs((state.epoch or 0) - epoch) < 1e-9:
            self._epochs_told = epoch
            self._attempt.emit(events.EPOCH_COMPLETED, {**self._position(state), "epoch": epoch})

    def _learnt(self, state: TrainerState, mean: float) -> JsonObject:
        """The mean loss of the steps that were learnt from; those that were left out count as 0 in the trainer's."""
        begin, end = self._window_step, state.global_step
        skipped = sum(begin < step <= end for step in self._course.skipped)
        if not skipped:
            return {"train_loss": mean}
        learnt = end - begin - skipped
        return {"skipped_steps": skipped} | ({"train_loss": mean * (end - begin) / learnt} if learnt > 0 else {})

    def _position(self, state: TrainerState) -> JsonObject:
        return {"epoch": state.epoch, "step": state.global_step, "total_steps": state.max_steps}

    def _figures(self, args: TrainingArguments, state: TrainerState, logs: Mapping[str, float]) -> JsonObject:
        now = perf_counter()
        tokens = int(state.num_input_tokens_seen)
        seconds = max(now - self._window_begun, 1e-9)
        steps = state.global_step - self._window_step
        pace = (now - self._begun) / max(state.global_step - self._first_step, 1)
        eta = pace * (state.max_steps - state.global_step)
        figures = {
            **self._position(state),
            **self._learnt(state, logs["loss"]),
            "learning_rate": logs["learning_rate"],
            "training_speed": steps / seconds,
            "tokens_per_second": (tokens - self._window_tokens) / seconds,
            "eta": clock_face(eta),
            "eta_seconds": round(eta, 3),
            **self._memory.read(now),
            "model_info": self._model,
            **_preferences(logs),
            **{name: logs[name] for name in FIGURES if name in logs},
            "advanced_metrics": {
                "gradient_norm": logs.get("grad_norm"),
                "lr_schedule": str(args.lr_scheduler_type.value),
                "batch_time": seconds / max(steps, 1),
            },
        }
        self._window_begun, self._window_step, self._window_tokens = now, state.global_step, tokens
        return figures


def _preferences(logs: Mapping[str, float], prefix: str = "", ours: str = "") -> JsonObject:
    """What stages dpo and kto log as `rewards/chosen`, as objects: `rewards: {chosen, …}`."""
    found: dict[str, JsonObject] = {}
    for name, value in logs.items():
        group, slash, figure = name.removeprefix(prefix).partition("/")
        if slash and name.startswith(prefix):
            found.setdefault(ours + group, {})[figure] = value
    return dict(found)


def clock_face(seconds: float) -> str:
    """HH:MM:SS, hours unbounded."""
    whole = max(0, math.ceil(seconds))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
