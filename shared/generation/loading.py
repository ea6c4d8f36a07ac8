"""Loads a model's weights and tokenizer from its folder, and says whose fault it is when that fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from shared.contracts.failures import FailureClass, Reason
from shared.worker.attempt import UserFault
from shared.worker.failures.diagnosis import recognise
from shared.worker.failures.faults import faults_of

_THREADS = torch.get_num_threads()
_ONE_THREAD_BYTES = 8 << 20
"""Weights up to here are answered with one thread: waking a second costs more than it computes."""
_MANY = 1 << 30


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turn faults of a model's files into UserFault; those of the machine pass as they are."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as fault:
        reason = recognise(faults_of(fault))
        if reason is Reason.ENGINE_FAILED:
            reason = Reason.MODEL_UNUSABLE
        elif reason.failure_class is not FailureClass.USER:
            raise
        raise UserFault(reason, f"modelName: {name} cannot be loaded: {fault}") from fault


def load_tokenizer(base: Path) -> Any:
    """The tokenizer in the folder."""
    return AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)


def load_base(base: Path) -> Any:
    """The weights as they were saved on a GPU, in full precision without one."""
    on_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        base, dtype="auto" if on_gpu else torch.float32, local_files_only=True, trust_remote_code=False,
        use_safetensors=True,
    )  # fmt: skip
    return model.to("cuda" if on_gpu else "cpu").eval()


def merge_adapter(model: Any, adapter: Path) -> Any:
    """The model with an adapter in its weights: as quick as the base, and for this adapter only."""
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().eval()


def check_vocabulary(name: str, template: str, tokenizer: Any, model: Any) -> None:
    """UserFault when the template taught the tokenizer tokens that the model has no weights for."""
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        raise UserFault(
            Reason.TEMPLATE_MISMATCH, f"modelName: template {template} needs tokens that {name} has no weights for"
        )


def positions_of(model: Any) -> int:
    """Tokens the model can attend to; a large number when its configuration does not say."""
    return int(getattr(model.config, "max_position_embeddings", None) or _MANY)


def bytes_of(model: Any) -> int:
    """Memory that its weights take."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())


def fit_threads(model: Any, size: int) -> None:
    """Take as many threads as a model of `size` bytes is worth."""
    wanted = 1 if size <= _ONE_THREAD_BYTES else _THREADS
    if model.device.type == "cpu" and torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)
