"""Puts an adapter into its base's own weights."""

import json
from pathlib import Path
from typing import Any

import transformers
from peft import PeftModel

_GENERAL = "AutoModelForCausalLM"


def load_model(folder: Path) -> Any:
    """The model as its folder's config names it, in the precision that its weights are stored in."""
    named = json.loads((folder / "config.json").read_bytes()).get("architectures") or [_GENERAL]
    kind = getattr(transformers, str(named[0]), None) or getattr(transformers, _GENERAL)
    return kind.from_pretrained(folder, dtype="auto")


def merge(base: Path, adapter: Path, target: Path, max_shard_bytes: int) -> int:
    """Write the merged weights and their config to `target`; answers how many numbers they are.

    What comes out is what base and adapter are together, rounded once to the base's own precision.
    """
    merged = PeftModel.from_pretrained(load_model(base), adapter).merge_and_unload(safe_merge=True)
    merged.save_pretrained(target, max_shard_size=max_shard_bytes)
    return int(merged.num_parameters())
