"""The memory of one training step, measured on tensors that have shapes and no bytes."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer
from torch._subclasses.fake_tensor import FakeTensorMode

from services.training.arguments import EngineArguments
from services.training.planning.live_bytes import LiveBytes
from shared.contracts.training import Stage

_FEW, _MORE = 1, 3
"""Layers that are rehearsed of a deep model: all others are like those between."""
_UNPLANNED = (
    "pissa_init",
    "adapter_name_or_path",
    "ref_model",
    "ref_model_adapters",
    "resume_from_checkpoint",
    "quantization_bit",
)
"""Read or compute weights; the shapes are the same without."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes on the device, and numbers of weights."""

    parameters: int
    trainable: int
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """At the peak of a step."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A model and a method; asked for any batch."""

    arguments: EngineArguments
    stage: Stage
    device: str

    def footprint(self, rows: int, length: int) -> Footprint:
        """Of a step on `rows` rows of `length` tokens each."""
        model = Path(self.arguments["model_name_or_path"])
        config = json.loads((model / "config.json").read_bytes())
        layers = config.get("num_hidden_layers", 0)
        if layers <= _MORE + 1:
            return self._rehearse(model, rows, length)
        with _cut(model, config, _FEW) as few, _cut(model, config, _MORE) as more:
            first, second = self._rehearse(few, rows, length), self._rehearse(more, rows, length)
        return _scaled(first, second, (layers - _FEW) / (_MORE - _FEW))

    def _rehearse(self, folder: Path, rows: int, length: int) -> Footprint:
        model = self._model(folder)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        bits = self.arguments.get("quantization_bit")
        weights = sum(_held(parameter, bits) for parameter in model.parameters())
        gradients = sum(_bytes(parameter) for parameter in trained)
        with FakeTensorMode(allow_non_fake_inputs=True):
            _pretend(model, self.device)
            accumulates = self.arguments["gradient_accumulation_steps"] > 1
            peak = _peak_of_a_step(model, self.stage, (rows, length), self.device, accumulates=accumulates)
        is_full = len(trained) == sum(1 for _ in model.parameters())
        reference = weights if is_full and self.stage in {Stage.DPO, Stage.KTO} else 0
        return Footprint(
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            trainable=sum(parameter.numel() for parameter in trained),
            weights=weights + reference, gradients=gradients, optimizer=2 * gradients,
            activations=max(peak - weights - gradients, 0),
        )  # fmt: skip

    def _model(self, folder: Path) -> Any:
        """As LLaMA-Factory would make it, without a byte of weights."""
        told: dict[str, Any] = {name: value for name, value in self.arguments.items() if name not in _UNPLANNED}
        told |= {"model_name_or_path": str(folder), "train_from_scratch": True}
        model_args, _, _, finetuning_args, _ = get_train_args(told)
        tokenizer = load_tokenizer(model_args)["tokenizer"]
        with torch.device("meta"):
            return load_model(tokenizer, model_args, finetuning_args, is_trainable=True)


def _held(parameter: torch.Tensor, bits: int | None) -> int:
    """Bytes; frozen matrices may be kept in few bits."""
    if bits and not parameter.requires_grad and parameter.ndim > 1:
        return int(parameter.numel() * bits // 8)
    return _bytes(parameter)


def _bytes(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())


def _scaled(first: Footprint, second: Footprint, times: float) -> Footprint:
    names = ("parameters", "trainable", "weights", "gradients", "optimizer", "activations")
    grown = {
        name: round(getattr(first, name) + times * (getattr(second, name) - getattr(first, name))) for name in names
    }
    return replace(first, **grown)


@contextmanager
def _cut(model: Path, config: dict[str, Any], layers: int) -> Iterator[Path]:
    """The same model with fewer layers: its configuration and tokenizer only."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in model.iterdir():
            if file.is_file() and file.suffix != ".safetensors":
                shutil.copy(file, folder)
        shorter = {**config, "num_hidden_layers": layers}
        if isinstance(config.get("layer_types"), list):
            shorter["layer_types"] = config["layer_types"][:layers]
        (folder / "config.json").write_text(json.dumps(shorter))
        yield folder


def _pretend(model: Any, device: str) -> None:
    for module in model.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                empty = torch.empty_like(weight, device=device)
                module._parameters[name] = torch.nn.Parameter(empty, requires_grad=weight.requires_grad)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = torch.empty_like(buffer, device=device)


def _peak_of_a_step(model: Any, stage: Stage, batch: tuple[int, int], device: str, *, accumulates: bool) -> int:
    """Weights, gradients and all that lives between them at the worst moment."""
    pairs = 2 if stage in {Stage.DPO, Stage.RM, Stage.KTO} else 1
    ids = torch.zeros((batch[0] * pairs, batch[1]), dtype=torch.long, device=device)
    live = LiveBytes()
    for tensor in (*model.parameters(), *model.buffers()):
        live.count(tensor)
    for parameter in model.parameters():
        if parameter.requires_grad and accumulates:
            # From the second step of an accumulation on, the gradients stand while the next rows are computed.
            parameter.grad = torch.empty_like(parameter)
            live.count(parameter.grad)
    with live:
        answer = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False,
            **({"labels": ids.clone()} if pairs == 1 else {}),
        )  # fmt: skip
        loss = answer.loss if pairs == 1 else _log_likelihood(answer.logits, ids)
        del answer
        loss.backward()
    return live.peak


def _log_likelihood(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """As preference stages compute it: in float32, over the whole vocabulary."""
    spread = logits.float().log_softmax(-1)
    return torch.gather(spread, 2, ids.unsqueeze(2)).sum()
