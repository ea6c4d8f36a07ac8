"""Models with a value head, on LLaMA-Factory 0.9.5: what its trainer of stage rm neither saves nor takes up again."""

from pathlib import Path
from typing import Any

import torch
from llamafactory.train import tuner
from llamafactory.train.rm.trainer import PairwiseTrainer
from peft import set_peft_model_state_dict
from safetensors.torch import load_file

from services.training.shared_weights import Weights, once
from shared.contracts.failures import Reason
from shared.worker.attempt import EngineFault

HEAD = "value_head.safetensors"
"""Beside the weights, in whatever LLaMA-Factory saves of such a model."""
_ADAPTER = "adapter_model.safetensors"


def take_up(trainer: PairwiseTrainer, checkpoint: str, _model: object = None) -> None:
    """The weights of a checkpoint, exactly as they were; the trainer would look for the files of a plain model."""
    model: Any = trainer.model
    folder = Path(checkpoint)
    if model.is_peft_model:
        strange = set_peft_model_state_dict(model.pretrained_model, load_file(folder / _ADAPTER)).unexpected_keys
    else:
        strange = _take_up_body(model.pretrained_model, folder)
    if strange:
        raise EngineFault(Reason.WEIGHTS_MISMATCH, f"the checkpoint does not fit the model: {', '.join(strange[:8])}")
    model.v_head.load_state_dict(
        {name.removeprefix("v_head."): weight for name, weight in load_file(folder / HEAD).items()}
    )


def _take_up_body(body: torch.nn.Module, folder: Path) -> list[str]:
    """Answers the names of weights that only one of the two has."""
    state: Weights = {}
    for file in sorted(folder.glob("model*.safetensors")):
        state |= load_file(file)
    missing, unknown = body.load_state_dict(state, strict=False)
    return [*unknown, *_lost(body, state, missing)]


def _lost(body: torch.nn.Module, state: Weights, missing: list[str]) -> list[str]:
    """What is missing and not there under another name: weights that two modules share are saved once."""
    weights = dict(body.named_parameters(remove_duplicate=False))
    found = {id(weights[name]) for name in state if name in weights}
    return [name for name in missing if name not in weights or id(weights[name]) not in found]


def save(trainer: PairwiseTrainer, output_dir: str | None = None, state_dict: Weights | None = None) -> None:
    """LLaMA-Factory's own; it tells shared weights by their Python objects, of which each name has another."""
    _SAVED(trainer, output_dir, once(trainer.model.state_dict() if state_dict is None else state_dict))


def train_arguments(arguments: dict[str, Any]) -> Any:
    """LLaMA-Factory's own, with the checkpoint that it forgets for stage rm with methods freeze and full."""
    found = _PARSED(arguments)
    if arguments.get("resume_from_checkpoint") is not None:
        found[2].resume_from_checkpoint = arguments["resume_from_checkpoint"]
    return found


_PARSED = tuner.get_train_args
_SAVED = PairwiseTrainer._save


def install() -> None:
    """Put all three in place of LLaMA-Factory's."""
    PairwiseTrainer._save = save
    PairwiseTrainer._load_from_checkpoint = take_up
    tuner.get_train_args = train_arguments
