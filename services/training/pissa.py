"""Turns what PiSSA learnt, which fits only a base without its first components, into a plain LoRA adapter."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"


def to_plain_lora(trained: Path, beginning: Path, target: Path) -> Path:
    """Write the adapter that makes of the untouched base what `trained` makes of the base without its beginning.

    W = (W₀ - s·B₀A₀) + s·BA = W₀ + s·[B, -B₀][A; A₀]: twice the rank, and twice the alpha for the same scale s.
    """
    target.mkdir(parents=True)
    before = load_file(beginning / _WEIGHTS)
    plain = {name: _beside(name, tensor, before[name]) for name, tensor in load_file(trained / _WEIGHTS).items()}
    save_file(plain, target / _WEIGHTS, metadata={"format": "pt"})
    config = json.loads((trained / _CONFIG).read_text())
    config |= {"r": 2 * config["r"], "lora_alpha": 2 * config["lora_alpha"], "init_lora_weights": True}
    (target / _CONFIG).write_text(json.dumps(config))
    return target


def _beside(name: str, tensor: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    if ".lora_A." in name:
        return torch.cat([tensor, before], dim=0)
    return torch.cat([tensor, -before], dim=1).contiguous()
