"""A model's weights under llama.cpp's names, in its order of rows, one tensor at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors import safe_open

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
"""llama.cpp's architecture for each `model_type`; Mistral is a Llama to it."""
_SUFFIXES = (".weight", ".bias")
_NOT_WEIGHTS = ("rotary_emb.inv_freq",)
_OUTPUT = "lm_head.weight"


class NoPlace(ValueError):
    """A tensor that llama.cpp has no name for."""


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor of the model, and what it is called in the GGUF file."""

    name: str
    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: str
    """As safetensors calls it: `F32`, `BF16` …"""
    heads: int | None
    """Whose rows llama.cpp wants in pairs; None for most tensors."""

    @property
    def is_matrix(self) -> bool:
        """Only these are quantised."""
        return len(self.shape) == 2

    def load(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The values in 32 bits, rows as llama.cpp wants them."""
        with safe_open(self.file, framework="pt") as weights:
            values: np.ndarray[Any, np.dtype[np.float32]] = weights.get_tensor(self.key).float().numpy()
        return values if self.heads is None else paired(values, self.heads)


def paired(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of each head from halves (first all real, then all imaginary parts of the rotation) to pairs."""
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def sources(folder: Path, config: Any) -> list[Source]:
    """Every tensor that belongs into the file; NoPlace names one that llama.cpp does not know."""
    architecture = ARCHITECTURES[config.model_type]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    return [
        Source(_name(names, key), file, key, shape, dtype, _heads(architecture, key, config))
        for file, key, shape, dtype in _stored(folder)
        if not key.endswith(_NOT_WEIGHTS) and not (key == _OUTPUT and config.tie_word_embeddings)
    ]


def _stored(folder: Path) -> Iterator[tuple[Path, str, tuple[int, ...], str]]:
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for key in weights.keys():  # noqa: SIM118 - no mapping
                part = weights.get_slice(key)
                yield file, key, tuple(part.get_shape()), str(part.get_dtype())


def _name(names: Any, key: str) -> str:
    found = names.get_name(key, try_suffixes=_SUFFIXES)
    if found is None:
        raise NoPlace(key)
    return str(found)


def _heads(architecture: gguf.MODEL_ARCH, key: str, config: Any) -> int | None:
    if architecture is not gguf.MODEL_ARCH.LLAMA:
        return None
    if ".q_proj." in key:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if ".k_proj." in key else None
