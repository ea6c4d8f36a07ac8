"""Refuses a training whose rows were cut so short that no answer is left to learn."""

from typing import Any

from pyarrow import compute
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from shared.contracts import events
from shared.contracts.failures import Reason
from shared.worker.attempt import Attempt, UserFault

_IGNORED = -100


class LabelsCallback(TrainerCallback):
    """Counts the rows without a single token to learn, before the first step."""

    def __init__(self, attempt: Attempt, cutoff_len: int) -> None:
        self._attempt = attempt
        self._cutoff_len = cutoff_len

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Look at the tokenised rows as the trainer will see them."""
        rows = context["train_dataloader"].dataset
        if "labels" not in rows.column_names:
            return
        mute = sum(_mute(chunk) for chunk in rows.data.column("labels").chunks)
        if not mute:
            return
        told = f"{mute} of {len(rows)} rows keep no token of an answer within cutoffLen {self._cutoff_len}"
        # A batch made of such rows alone has no loss, and its gradient ruins every weight.
        if mute == len(rows) or args.train_batch_size * args.gradient_accumulation_steps == 1:
            raise UserFault(Reason.CUTOFF_TOO_SHORT, f"{told}; raise cutoffLen or shorten the prompts")
        self._attempt.emit(events.LOG, {"level": "warning", "message": told, "rows": mute})


def _mute(labels: Any) -> int:
    learnt = compute.not_equal(labels.flatten(), _IGNORED)
    rows = compute.list_parent_indices(labels)
    speaking = compute.unique(rows.filter(learnt))
    return len(labels) - len(speaking)
