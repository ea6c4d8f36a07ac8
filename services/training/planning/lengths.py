"""How many tokens each row has, by LLaMA-Factory's own reading of it."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.data.processor.processor_utils import greedy_knapsack
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

from services.training.arguments import EngineArguments
from services.training.data_files import rows_in
from services.training.recipe import TRAIN, Inputs
from shared.contracts.plans import TokenCounts
from shared.contracts.training import Stage, TrainingSpec

MOST_ROWS = 2_000
"""More are not read: the first ones speak for all."""
_UNCUT = 131_072
_BLOCK_ROWS = 1_000
"""Rows that are packed together, as `datasets` hands them out."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of the rows that were read, uncut, in order."""

    rows: int
    """That there are."""
    found: list[int]
    template_differs: bool
    """Whether the model's own chat template spells a conversation otherwise."""

    def counts(self, cutoff: int) -> TokenCounts:
        """Scaled to all rows."""
        scale = self.rows / len(self.found)
        cut = [min(length, cutoff) for length in self.found]
        return TokenCounts(
            total=round(sum(cut) * scale), longest=max(self.found), median=round(median(self.found)),
            shortened_rows=round(sum(length > cutoff for length in self.found) * scale),
            measured_rows=len(self.found),
        )  # fmt: skip

    def trained_rows(self, spec: TrainingSpec) -> int:
        """Rows, or the blocks that they are packed into."""
        scale = self.rows / len(self.found)
        is_packed = spec.neat_packing or (spec.stage is Stage.PT if spec.packing is None else spec.packing)
        if not is_packed:
            return self.rows
        if spec.stage is Stage.PT:
            return max(int(sum(self.found) * scale // spec.cutoff_len), 1)
        cut = [min(length, spec.cutoff_len) for length in self.found]
        chunks = (cut[start : start + _BLOCK_ROWS] for start in range(0, len(cut), _BLOCK_ROWS))
        return max(round(sum(len(greedy_knapsack(chunk, spec.cutoff_len)) for chunk in chunks) * scale), 1)

    def widest(self, spec: TrainingSpec) -> int:
        """Tokens of a row in the longest batch, padded as the trainer pads."""
        is_packed = spec.neat_packing or (spec.stage is Stage.PT if spec.packing is None else spec.packing)
        longest = spec.cutoff_len if is_packed else min(max(self.found), spec.cutoff_len)
        return -(-longest // 8) * 8


def measure(arguments: EngineArguments, spec: TrainingSpec, inputs: Inputs) -> Lengths:
    """Read the rows as training would, without cutting or packing any."""
    told: dict[str, Any] = {
        **arguments, "cutoff_len": _UNCUT, "packing": False, "neat_packing": False, "max_samples": MOST_ROWS,
    }  # fmt: skip
    told.pop("eval_dataset", None)
    told.pop("resume_from_checkpoint", None)
    told |= {"eval_strategy": "no"}
    model_args, data_args, training_args, _, _ = get_train_args(told)
    loaded = load_tokenizer(model_args)
    tokenizer = loaded["tokenizer"]
    differs = spec.stage is not Stage.PT and _differs(tokenizer, data_args)
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    stage = "rm" if spec.stage is Stage.DPO else spec.stage.value
    data = get_dataset(template, model_args, data_args, training_args, stage=stage, **loaded)["train_dataset"]
    columns = [name for name in ("input_ids", "chosen_input_ids", "rejected_input_ids") if name in data.column_names]
    found = [max(len(ids) for ids in rows) for rows in zip(*(data[name] for name in columns), strict=True)]
    return Lengths(rows_in(inputs.data, TRAIN), found, differs)


def _differs(tokenizer: Any, data_args: Any) -> bool:
    """Whether the two templates spell the same conversation differently; False when the model brings none."""
    if not tokenizer.chat_template:
        return False
    talk = [{"role": "user", "content": "alpha"}, {"role": "assistant", "content": "beta"}]
    theirs = tokenizer.apply_chat_template(talk, tokenize=False)
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    ids = [token for pair in template.encode_multiturn(tokenizer, talk) for side in pair for token in side]
    return "".join(theirs.split()) != "".join(tokenizer.decode(ids).split())
