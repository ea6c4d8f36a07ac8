"""Weights that a model has under two names, of which safetensors stores one."""

import torch

Weights = dict[str, torch.Tensor]


def once(state: Weights) -> Weights:
    """Without second names of the same memory, such as an output layer's that is the embedding."""
    seen: dict[tuple[int, torch.Size], str] = {}
    return {
        name: weight
        for name, weight in state.items()
        if not weight.numel() or seen.setdefault((weight.data_ptr(), weight.shape), name) == name
    }
