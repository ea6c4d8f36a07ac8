"""Who watches over a training: the callbacks of an attempt, in the order in which the trainer calls them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from services.training.callbacks.answers import AnswersCallback
from services.training.callbacks.beginning import BeginningCallback
from services.training.callbacks.best import BestCallback
from services.training.callbacks.checkpoints import CheckpointCallback
from services.training.callbacks.commands import CommandCallback
from services.training.callbacks.control import ControlCallback
from services.training.callbacks.images import ImagesCallback
from services.training.callbacks.labels import LabelsCallback
from services.training.callbacks.memory_guard import HardLimit, MemoryGuardCallback
from services.training.callbacks.metrics import MetricsCallback
from services.training.callbacks.plateau import PlateauCallback
from services.training.callbacks.stopping import StoppingCallback
from services.training.callbacks.watchdog import WatchdogCallback
from services.training.course import Course
from services.training.memory_rooms import gpu_room, host_room
from services.training.stepping import Stepping
from services.training.weights import Weights
from shared.contracts.base import JsonObject
from shared.contracts.safeguards import Watchdog
from shared.contracts.training import Stage, TrainingSpec
from shared.worker.attempt import Attempt

RunExp = Callable[[dict[str, Any], list[TrainerCallback]], None]
"""How LLaMA-Factory is entered: its arguments, and whom it calls."""


class Crew:
    """Those that remember something serve all runs of the attempt; the others begin anew with each."""

    def __init__(self, attempt: Attempt, spec: TrainingSpec, course: Course, weights: Weights, run_exp: RunExp) -> None:
        self.run_exp = run_exp
        self.spec = spec
        self.course = course
        self.weights = weights
        self.told: JsonObject | None = None
        """The final figures, where other processes trained."""
        self.began_elsewhere = False
        self.metrics = MetricsCallback(attempt, attempt.spec.models["base"].name, weights.parameters, course)
        self.commands = CommandCallback(attempt, course, spec.stage)
        self.stepping = Stepping(attempt, course, 0 if spec.parallel else spec.step_retries)
        # The loss of stage ppo goes up and down as its answers change: only one that is no number says anything.
        watched = spec.model_copy(update={"loss_watchdog": Watchdog.OFF}) if spec.stage is Stage.PPO else spec
        self._watchdog = WatchdogCallback(attempt, watched, course, self.stepping)
        self.hard_limit = HardLimit(spec.memory_limit_gb)
        self._control = ControlCallback()
        self._best = BestCallback(course)
        self._attempt = attempt

    @property
    def has_begun(self) -> bool:
        """Whether the run has come as far as a step."""
        return self.stepping.has_begun or self.began_elsewhere

    def figures(self) -> JsonObject:
        """The newest figures that say how the training went."""
        return self.metrics.summary() if self.told is None else self.told

    def callbacks(self, beginning: Path) -> list[TrainerCallback]:
        """For one run of the trainer's loop; `beginning` is where PiSSA's first adapter is kept."""
        spec, attempt = self.spec, self._attempt
        if spec.stage is Stage.PPO:
            # Its loop makes no checkpoint, evaluates nothing, and has no step that could be done again.
            return [AnswersCallback(), self.metrics, self._control, self.commands, self._watchdog]
        patience = spec.early_stopping_evaluations
        return [
            LabelsCallback(attempt, spec.cutoff_len),
            ImagesCallback(spec.cutoff_len),
            *([BeginningCallback(beginning)] if spec.pissa_init else []),
            self.metrics,
            *([StoppingCallback(attempt, patience)] if patience else []),
            # Before what may end the run: the last checkpoint is sealed at its end.
            self._checkpoints(),
            self._control,
            self.commands,
            *([self._best] if spec.keep_best else []),
            *self._plateau(),
            *self._memory_guard(),
            # After whoever may ask for a checkpoint: it looks at what would be saved.
            self._watchdog,
        ]

    def _memory_guard(self) -> list[TrainerCallback]:
        spec = self.spec
        rooms = [host_room(spec.memory_limit_gb, spec.memory_guard_at)] if spec.memory_limit_gb else []
        rooms += [gpu_room(spec.gpu_memory_guard_at)] if spec.gpu_memory_guard_at else []
        return [MemoryGuardCallback(spec, self.course, rooms)] if rooms else []

    def _plateau(self) -> list[TrainerCallback]:
        evaluations, factor = self.spec.plateau_evaluations, self.spec.plateau_factor
        return [PlateauCallback(self._attempt, self.course, evaluations, factor)] if evaluations else []

    def _checkpoints(self) -> CheckpointCallback:
        spec = self.spec
        return CheckpointCallback(
            self._attempt, keep=spec.keep_checkpoints, is_timed=spec.save_steps is None, on_sealed=self._on_sealed,
            course=self.course,
        )  # fmt: skip

    def _on_sealed(self, step: int) -> None:
        self._best.on_sealed(step)
        self.commands.on_sealed(step)
