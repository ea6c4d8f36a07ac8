"""Keeps processes in step: what the first one decides, all do at the same step."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from services.training.learning_rate import base_rate, set_base_rate
from services.training.stepping import Stepping

_SWITCHES = ("should_training_stop", "should_epoch_stop", "should_save", "should_evaluate", "should_log")


class GateCallback(TrainerCallback):
    """Comes first: nobody takes a checkpoint for whole before every process has written its part."""

    def __init__(self, lines: distributed.ProcessGroup) -> None:
        self._lines = lines
        self._is_open = False

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """This process has written its part."""
        self._is_open = True

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Wait for the others."""
        self._close()

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Wait for the others."""
        self._close()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Wait for the others, and measure no more: the last step was evaluated already."""
        self._close()
        args.do_eval = False

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            distributed.barrier(group=self._lines)


class AccordCallback(TrainerCallback):
    """Comes last, in every process: hands on what the callbacks of the first one have switched and set."""

    def __init__(self, lines: distributed.ProcessGroup, stepping: Stepping, begun: Path) -> None:
        self._lines = lines
        self._stepping = stepping
        self._begun = begun
        self._is_first = distributed.get_rank() == 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """From now on an order to end makes a checkpoint first."""
        if self._is_first:
            self._begun.write_text(str(os.getpid()))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Agree on what follows this step."""
        self._agree(control, context)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Agree on what follows from what was measured."""
        self._agree(control, context)

    def _agree(self, control: TrainerControl, context: dict[str, Any]) -> None:
        scheduler = context.get("lr_scheduler")
        can_set = hasattr(scheduler, "base_lrs")
        before = base_rate(scheduler) if can_set else 0.0
        said = torch.tensor([*(float(getattr(control, name)) for name in _SWITCHES), before], dtype=torch.float64)
        distributed.broadcast(said, src=0, group=self._lines)
        *switches, rate = said.tolist()
        if self._is_first:
            return
        for name, value in zip(_SWITCHES, switches, strict=True):
            setattr(control, name, bool(value))
        if can_set and rate != before:
            set_base_rate(scheduler, rate)
        # Only the first process judges losses.
        self._stepping.forget()
