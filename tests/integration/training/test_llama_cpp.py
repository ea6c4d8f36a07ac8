"""llama.cpp itself reads what is exported, and writes the quantizations that only it can write."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from services.training.export.llama_cpp import EXTRA, is_installed
from shared.contracts.exports import Quantization
from shared.contracts.work import ModelInput
from tests.integration.training.families import FAMILIES, of_family
from tests.integration.training.laboratory import Laboratory
from tests.integration.training.test_gguf import export, file_of, refusal

with_llama_cpp = pytest.mark.skipif(not is_installed(), reason=f"needs llama-cpp-python: pip install {EXTRA}")
WIDE = {"hidden_size": 256, "intermediate_size": 512, "num_key_value_heads": 2, "num_attention_heads": 4}
K_QUANTIZATIONS = [one for one in Quantization if one.needs_llama_cpp]
LIKENESS = {"q2_k": 0.5, "q3_k": 0.8}
"""Cosine of the logits: random weights lose more than trained ones, and models that have nothing in common have 0."""
TEXTS = ["What is 17 + 5?", " two  spaces", "naïve 你好 🙂", "<|im_start|>user\nhi<|im_end|>\n", "line\n\n\tend 2026"]


class Reader:
    """llama.cpp with one file open."""

    def __init__(self, path: Path) -> None:
        import llama_cpp

        # Keys and values in 32 bits: by default llama.cpp keeps them in 16, and would be blamed for what that costs.
        exact = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "flash_attn": False}
        self._llama: Any = llama_cpp.Llama(str(path), n_ctx=128, logits_all=True, verbose=False, n_threads=1, **exact)

    def logits(self, tokens: list[int]) -> np.ndarray[Any, Any]:
        """Of every token; shape (tokens, vocabulary)."""
        self._llama.reset()
        self._llama.eval(tokens)
        found: np.ndarray[Any, Any] = self._llama.scores[: len(tokens)]
        return found

    def tokens(self, text: str) -> list[int]:
        """As llama.cpp reads it."""
        return list(self._llama.tokenize(text.encode(), add_bos=False, special=True))

    def close(self) -> None:
        self._llama.close()


def wanted(laboratory: Laboratory, model: ModelInput, tokens: list[int]) -> np.ndarray[Any, Any]:
    folder = laboratory.store.materialise(model.base)
    source = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        found: np.ndarray[Any, Any] = source(torch.tensor([tokens])).logits[0].numpy()
    return found


@with_llama_cpp
@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_answers_as_the_model(laboratory: Laboratory, family: str) -> None:
    model = laboratory.variant(of_family(family))
    reader = Reader(file_of(laboratory, export(laboratory, model, quantization="f32")))
    tokens = list(range(3, 99))
    np.testing.assert_allclose(reader.logits(tokens), wanted(laboratory, model, tokens), atol=5e-3, rtol=1e-3)
    reader.close()


@with_llama_cpp
def test_llama_cpp_reads_texts_as_the_models_tokenizer_does(laboratory: Laboratory) -> None:
    reader = Reader(file_of(laboratory, export(laboratory, laboratory.base(), quantization="f16")))
    tokenizer = AutoTokenizer.from_pretrained(laboratory.store.materialise(laboratory.base().base))
    for text in TEXTS:
        assert reader.tokens(text) == tokenizer(text, add_special_tokens=False).input_ids
    reader.close()


@with_llama_cpp
@pytest.mark.parametrize("quantization", K_QUANTIZATIONS)
def test_a_k_quantization_is_real_and_stays_near_the_model(laboratory: Laboratory, quantization: Quantization) -> None:
    model = laboratory.variant(of_family("llama", torch.bfloat16, **WIDE))
    run = export(laboratory, model, quantization=quantization.value)
    path = file_of(laboratory, run)
    types = {tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors if len(tensor.shape) == 2}
    assert f"{quantization.value[:4].upper()}" in types
    assert all(name.endswith("_K") for name in types)
    file: Any = run.result.result["file"]
    assert set(file["types"]) == types
    tokens = list(range(3, 67))
    reader = Reader(path)
    read, source = reader.logits(tokens), wanted(laboratory, model, tokens)
    reader.close()
    likeness = float((read * source).sum() / np.linalg.norm(read) / np.linalg.norm(source))
    assert likeness > LIKENESS.get(quantization.value[:4], 0.9)


@with_llama_cpp
def test_a_narrow_model_is_not_given_another_type_in_silence(laboratory: Laboratory) -> None:
    message = refusal(export(laboratory, laboratory.base(), quantization="q2_k")).message
    assert "quantization q2_k needs rows of a multiple of 256 numbers, and 16 of 16 matrices have others" in message
    run = export(laboratory, laboratory.base(), quantization="q2_k", allowFallback=True)
    file_of(laboratory, run)
    assert run.told("log")[-1]["message"].startswith("not every matrix could be stored as q2_k: ")


@pytest.mark.skipif(is_installed(), reason="llama-cpp-python is there")
def test_without_llama_cpp_a_k_quantization_is_refused_and_the_extra_named(laboratory: Laboratory) -> None:
    message = refusal(export(laboratory, laboratory.base(), quantization="q4_k_m")).message
    assert EXTRA in message
    assert "q8_0, f16, bf16 or f32" in message
