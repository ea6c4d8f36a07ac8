"""Carries out what a running training is told, and says so: a look at one file's size a step."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.course import Course, Restart
from services.training.learning_rate import base_rate, set_base_rate
from shared.contracts import events
from shared.contracts.commands import Action, Command
from shared.contracts.training import Stage
from shared.worker.attempt import Attempt
from shared.worker.commands import NAME, read_commands


class CommandCallback(TrainerCallback):
    """One for all runs of an attempt."""

    def __init__(self, attempt: Attempt, course: Course, stage: Stage) -> None:
        self._stage = stage
        self._attempt = attempt
        self._course = course
        self._file = attempt.work / NAME
        self._file.touch()
        self._path = str(self._file)
        self._seen = 0
        self._saving: list[Command] = []
        self._evaluating: list[Command] = []
        self._random: torch.Tensor | None = None
        self._is_to_restart = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Take up what earlier attempts were told."""
        self._is_to_restart = False
        self._obey_course(state.global_step, context)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Look for news, and obey what an earlier pass of this step was told."""
        if self._course.learning_rates:
            self._obey_course(state.global_step, context)
        # Looked at in each step: a Path would double its cost.
        size = os.stat(self._path).st_size  # noqa: PTH116
        if size == self._seen:
            return
        self._seen = size
        for told in read_commands(self._file)[self._course.commands_done :]:
            self._carry_out(Command.model_validate(told), args, state, control, context)
            self._course.commands_done += 1
            self._course.save()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Say what was measured, and put back the chance that measuring used up: the run goes on as without it."""
        if self._random is not None:
            torch.set_rng_state(self._random)
            self._random = None
        for command in self._evaluating:
            self._done(command, state.global_step, val_loss=(metrics or {}).get("eval_loss"))
        self._evaluating.clear()

    def on_sealed(self, step: int) -> None:
        """Say that the checkpoint is there."""
        for command in self._saving:
            self._done(command, step)
        self._saving.clear()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Go round again where that was asked."""
        if self._is_to_restart:
            raise Restart

    def refuse_rest(self) -> None:
        """Answer what came when there was nothing left to do."""
        for told in read_commands(self._file)[self._course.commands_done :]:
            why = "the training had done its last step"
            self._attempt.emit(events.COMMAND_REFUSED, {**_named(Command.model_validate(told)), "why": why})
            self._course.commands_done += 1
            self._course.save()

    def _carry_out(
        self,
        command: Command,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        context: Mapping[str, Any],
    ) -> None:
        match command.action:
            case Action.CHECKPOINT | Action.SET_MAX_STEPS if self._stage is Stage.PPO:
                self._refuse(command, state, "stage ppo makes no checkpoints, and goes on from none")
            case Action.CHECKPOINT:
                control.should_save = True
                self._saving.append(command)
            case Action.EVALUATE:
                self._evaluate(command, state, control, context)
            case Action.SET_LEARNING_RATE:
                self._set_learning_rate(command, state, context)
            case Action.SET_MAX_STEPS:
                self._set_max_steps(command, state, control)
            case _:
                self._refuse(command, state, "a worker carries this out in other ways")

    def _evaluate(
        self, command: Command, state: TrainerState, control: TrainerControl, context: Mapping[str, Any]
    ) -> None:
        asked = self._attempt.spec
        if "validation" not in asked.datasets and asked.spec.get("validationSplit") is None:
            self._refuse(command, state, "the job has no validationDataset or validationSplit to evaluate on")
            return
        if not control.should_evaluate:
            self._random = torch.get_rng_state()
        control.should_evaluate = True
        self._evaluating.append(command)

    def _set_learning_rate(self, command: Command, state: TrainerState, context: Mapping[str, Any]) -> None:
        scheduler: Any = context.get("lr_scheduler")
        if command.value is None or not hasattr(scheduler, "base_lrs"):
            self._refuse(command, state, "this stage's learning rate cannot be changed while it runs")
            return
        before, now = base_rate(scheduler), float(command.value)
        self._course.set_learning_rate(state.global_step, now)
        set_base_rate(scheduler, now)
        rates = {"from": before, "to": now, "learning_rate": scheduler.get_last_lr()[0]}
        self._done(command, state.global_step, **rates)

    def _set_max_steps(self, command: Command, state: TrainerState, control: TrainerControl) -> None:
        wanted = int(command.value or 0)
        if wanted < state.global_step:
            self._refuse(command, state, f"step {state.global_step} is done already; stop the job to end it here")
            return
        self._course.max_steps = wanted
        self._is_to_restart = control.should_save = control.should_training_stop = True
        self._done(command, state.global_step, **{"from": state.max_steps, "to": wanted})

    def _obey_course(self, step: int, context: Mapping[str, Any]) -> None:
        rate = self._course.learning_rate_at(step)
        scheduler = context.get("lr_scheduler")
        if rate is not None and hasattr(scheduler, "base_lrs"):
            set_base_rate(scheduler, rate)

    def _done(self, command: Command, step: int, **figures: object) -> None:
        told = {**_named(command), "step": step, **figures}
        self._attempt.emit(events.COMMAND_CARRIED_OUT, told)

    def _refuse(self, command: Command, state: TrainerState, why: str) -> None:
        self._attempt.emit(events.COMMAND_REFUSED, {**_named(command), "step": state.global_step, "why": why})


def _named(command: Command) -> dict[str, object]:
    return {"command_id": command.command_id, "action": command.action.value}
