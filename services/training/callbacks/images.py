"""Refuses a training whose rows were cut in the middle of their images."""

from typing import Any

from pyarrow import compute
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from shared.contracts.failures import Reason
from shared.datasets.pictured import IMAGE
from shared.worker.attempt import UserFault


class ImagesCallback(TrainerCallback):
    """Counts the places of images in each row that `cutoffLen` may have cut, before the first step."""

    def __init__(self, cutoff_len: int) -> None:
        self._cutoff_len = cutoff_len

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any
    ) -> None:
        """Look at the tokenised rows as the trainer will see them; it would fail at the first that is cut."""
        loader = context["train_dataloader"]
        rows, template = loader.dataset, getattr(loader.collate_fn, "template", None)
        has_images = {"images", "input_ids"} <= set(rows.column_names)
        if template is None or template.mm_plugin.image_token is None or not has_images:
            return
        lengths = compute.list_value_length(rows.data.column("input_ids"))
        full = compute.indices_nonzero(compute.greater_equal(lengths, self._cutoff_len)).to_pylist()
        cut = sum(_lacks_places(rows.data.slice(index, 1).to_pylist()[0], loader.collate_fn) for index in full)
        if cut:
            raise UserFault(
                Reason.CUTOFF_TOO_SHORT,
                f"{cut} of {len(rows)} rows are cut in the middle of their images by cutoffLen {self._cutoff_len}; "
                "raise cutoffLen or lower imageMaxPixels",
            )


def _lacks_places(row: dict[str, Any], collator: Any) -> bool:
    images = row["images"]
    if not images:
        return False
    plugin = collator.template.mm_plugin
    alone = [{"role": "user", "content": IMAGE * len(images)}]
    wanted = plugin.process_messages(alone, images, [], [], collator.processor)[0]["content"]
    place = collator.tokenizer.convert_tokens_to_ids(plugin.image_token)
    return bool(row["input_ids"].count(place) < wanted.count(plugin.image_token))
