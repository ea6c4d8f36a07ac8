"""Tells a user's fault from ours in what LLaMA-Factory and its libraries raise; their words are pinned by tests."""

import re
from typing import NamedTuple

from shared.worker.attempt import UserFault


class _Known(NamedTuple):
    kind: type[Exception]
    words: str
    reason: str
    advice: str


_KNOWN = (
    _Known(
        ValueError,
        r"^Template .* does not exist",
        "template_unknown",
        "the model's chat template is not one LLaMA-Factory knows; import the model with another",
    ),
    _Known(
        RuntimeError,
        r"^Cannot find sufficient samples",
        "dataset_too_small",
        "all rows together do not fill one block of cutoffLen tokens; lower cutoffLen or add text",
    ),
    _Known(
        OSError, r"^Failed to load tokenizer", "model_unusable", "the model's folder has no tokenizer that can be read"
    ),
    _Known(
        ValueError,
        r"Unrecognized (model|configuration)|does not recognize this architecture",
        "model_unusable",
        "transformers does not know the model's architecture",
    ),
    _Known(
        RuntimeError,
        r"size mismatch for .*lora_",
        "adapter_unusable",
        "the model's adapter was not made for this base",
    ),
)


def user_fault_of(fault: Exception) -> UserFault | None:
    """The user's fault this is, or None when it is not known to be one."""
    for known in _KNOWN:
        if isinstance(fault, known.kind) and re.search(known.words, str(fault)):
            return UserFault(known.reason, f"{known.advice} ({str(fault)[:300]})")
    return None
