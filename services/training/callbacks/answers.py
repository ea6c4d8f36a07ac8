"""What stage ppo learns from: the figures of the answers that its model wrote, averaged over a logging interval."""

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

_THEIRS = {
    "loss": "ppo/loss/total",
    "policy_loss": "ppo/loss/policy",
    "value_loss": "ppo/loss/value",
    "kl": "objective/kl",
    "kl_coefficient": "objective/kl_coef",
    "entropy": "ppo/policy/entropy",
    "clip_fraction": "ppo/policy/clipfrac",
    "answer_tokens": "tokens/responses_len_mean",
}
FIGURES = ("reward", *(ours for ours in _THEIRS if ours != "loss"))
"""What a logging step has beside the loss."""


class AnswersCallback(TrainerCallback):
    """Comes before the one that reports, and fills in what LLaMA-Factory's loop leaves out of state and logs."""

    def __init__(self) -> None:
        self._taken: list[dict[str, float]] = []
        self._tokens = 0
        self._steps_per_epoch = 1

    def take(self, figures: Mapping[str, Any], reward: float, tokens: int, steps_per_epoch: int) -> None:
        """Those of one step: trl's, the mean that the reward model gave, and the tokens of questions and answers."""
        found = {ours: float(figures[theirs]) for ours, theirs in _THEIRS.items()}
        self._taken.append({**found, "reward": reward})
        self._tokens += tokens
        self._steps_per_epoch = steps_per_epoch

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A run shorter than its logging interval is logged once, at its end."""
        self._taken.clear()
        args.logging_steps = min(args.logging_steps, state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Say how far the run is."""
        state.epoch = state.global_step / self._steps_per_epoch
        state.num_input_tokens_seen += self._tokens
        self._tokens = 0

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Put the means into what is logged."""
        if logs is not None and self._taken:
            logs |= {name: sum(one[name] for one in self._taken) / len(self._taken) for name in ("loss", *FIGURES)}
            self._taken.clear()
