"""What this machine has to compute with, and how much of it a small model should take."""

from importlib.util import find_spec

import torch

from services.training.recipe import Machine

ONE_THREAD_BYTES = 8 * 2**20
"""Models this small step faster on one core than on several that wait for each other."""


def machine() -> Machine:
    """The processors that the trainer will choose by itself."""
    has_quantizer = find_spec("bitsandbytes") is not None
    if not torch.cuda.is_available():
        return Machine(has_quantizer=has_quantizer)
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Machine(has_gpu=True, has_bf16=has_bf16, has_quantizer=has_quantizer)


def fit_threads(model_bytes: int) -> None:
    """Take one thread for a tiny model; chosen by the model alone, so that a resumed run adds in the same order."""
    if not torch.cuda.is_available() and model_bytes <= ONE_THREAD_BYTES:
        torch.set_num_threads(1)
