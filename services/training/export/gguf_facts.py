"""What a GGUF file says about a model's shape."""

from typing import Any

import gguf
import numpy as np
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

_PLAIN = "default"


class RopeUnknown(ValueError):
    """A way of stretching positions that these files cannot say."""


def add_facts(writer: gguf.GGUFWriter, config: Any, name: str) -> None:
    """Sizes, norms and positions."""
    head_dim = head_dim_of(config)
    writer.add_name(name)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    _add_stretching(writer, config.rope_parameters)


def head_dim_of(config: Any) -> int:
    """Numbers a head; not always the width divided by the heads."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _add_stretching(writer: gguf.GGUFWriter, rope: dict[str, Any]) -> None:
    kind = rope.get("rope_type", _PLAIN)
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))
    elif kind not in {_PLAIN, "llama3"}:
        raise RopeUnknown(str(kind))


def rope_factors(config: Any) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """By how much Llama 3 stretches each frequency, shape (head_dim / 2,); None for other models."""
    rope = config.rope_parameters
    if rope.get("rope_type") != "llama3":
        return None
    stretched, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    dim = head_dim_of(config)
    plain = 1.0 / rope["rope_theta"] ** (np.arange(0, dim, 2, dtype=np.float64) / dim)
    factors: np.ndarray[Any, np.dtype[np.float32]] = (plain / stretched.double().numpy()).astype(np.float32)
    return factors
