"""The door to LLaMA-Factory: imported while nobody waits, with all that it would otherwise load when a job does."""

import gc
import os
from importlib import import_module

# Read when the libraries are imported. Several visible GPUs without a launcher make LLaMA-Factory refuse to start.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
os.environ.setdefault("DISABLE_VERSION_CHECK", "1")

import datasets
import transformers
from llamafactory.train.tuner import run_exp

from services.training import value_heads

_LOADED_BY_A_JOB = (
    "bitsandbytes",
    "scipy.io",
    "torch.utils.serialization",
    "torchdata.stateful_dataloader",
    "transformers.models.llama.modeling_llama",
    "transformers.models.mistral.modeling_mistral",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.qwen3.modeling_qwen3",
)
for _name in _LOADED_BY_A_JOB:
    import_module(_name)
for _kind in ("ImageTextToText", "Seq2SeqLM", "TextToWaveform"):
    # LLaMA-Factory looks for any model's class here, which reads a hundred configurations the first time.
    list(getattr(transformers, f"AutoModelFor{_kind}")._model_mapping.keys())


value_heads.install()
datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()
# The trainer collects garbage before the first step: a third of a second, spent on what was imported here.
gc.collect()
gc.freeze()

__all__ = ["run_exp"]
