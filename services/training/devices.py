"""What this machine has to compute with, and how much of it a small model should take."""

from importlib.util import find_spec

import torch

from services.training.recipe import Machine
from shared.contracts.training import TrainingSpec

ONE_THREAD_BYTES = 8 * 2**20
"""Models this small step faster on one core than on several that wait for each other."""


def machine(spec: TrainingSpec, gpus: int) -> Machine:
    """What each process of this training will choose by itself, when so many GPUs were promised to it.

    Several processes have one GPU each, or none has.
    """
    has_quantizer = find_spec("bitsandbytes") is not None
    has_deepspeed = find_spec("deepspeed") is not None
    has_gpu = torch.cuda.is_available() and (spec.parallel is None or gpus == spec.processes)
    has_bf16 = has_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return Machine(has_gpu, has_bf16, has_quantizer, has_deepspeed)


def fit_threads(model_bytes: int) -> None:
    """Take one thread for a tiny model; chosen by the model alone, so that a resumed run adds in the same order."""
    if not torch.cuda.is_available() and model_bytes <= ONE_THREAD_BYTES:
        torch.set_num_threads(1)
