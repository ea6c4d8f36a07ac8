"""Tiny random models of the families that can be written as GGUF, in the tiny model's clothes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama with biases": {"model_type": "llama", "attention_bias": True},
    "llama stretched as Llama 3 is": {"model_type": "llama", "rope_parameters": LLAMA3},
    "mistral": {"model_type": "mistral", "head_dim": 32, "sliding_window": None},
    "qwen2": {"model_type": "qwen2"},
    "qwen2 with tied embeddings": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3", "head_dim": 32},
}


def of_family(name: str, dtype: torch.dtype = torch.float32, **shape: Any) -> Callable[[Path], None]:
    """Gives a model folder weights and config of another family."""

    def change(folder: Path) -> None:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        facts = {**SHAPE, **FAMILIES[name], **shape}
        config = AutoConfig.for_model(
            **facts, vocab_size=len(tokenizer), bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            model = AutoModelForCausalLM.from_config(config)
            for number, weights in enumerate(model.parameters()):
                # Larger than they begin: norms and biases of one and zero would hide that they were left out.
                torch.nn.init.normal_(weights, mean=float(weights.dim() == 1 and number % 2), std=0.2)
        (folder / "model.safetensors").unlink()
        model.to(dtype).save_pretrained(folder)

    return change
