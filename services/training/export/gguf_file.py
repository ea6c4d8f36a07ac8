"""Writes a model folder as one GGUF file."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from services.training.export.gguf_facts import add_facts, rope_factors
from services.training.export.gguf_quantizing import KINDS, type_of
from services.training.export.gguf_tensors import ARCHITECTURES, Source
from services.training.export.gguf_tokens import add_tokens
from shared.contracts.exports import Quantization

_FLOAT32 = np.dtype(np.float32)
_ROPE = f"{gguf.TENSOR_NAMES[gguf.MODEL_TENSOR.ROPE_FREQS]}.weight"


def write_gguf(
    folder: Path, config: Any, tensors: list[Source], target: Path, quantization: Quantization, name: str
) -> None:
    """Write `tensors` of the model in `folder` to `target`, one in memory at a time; no K-quantization."""
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[config.model_type]])
    add_facts(writer, config, name)
    add_tokens(writer, folder, config.vocab_size)
    writer.add_file_type(KINDS[quantization].file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    factors = rope_factors(config)
    if factors is not None:
        writer.add_tensor_info(_ROPE, factors.shape, factors.dtype, factors.nbytes)
    for tensor in tensors:
        _announce(writer, tensor, quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if factors is not None:
        writer.write_tensor_data(factors)
    for tensor in tensors:
        writer.write_tensor_data(gguf.quants.quantize(tensor.load(), type_of(tensor, quantization)))
    writer.close()


def _announce(writer: gguf.GGUFWriter, tensor: Source, quantization: Quantization) -> None:
    stored = type_of(tensor, quantization)
    numbers, size = gguf.GGML_QUANT_SIZES[stored]
    count = 1
    for length in tensor.shape:
        count *= length
    # The writer takes bytes for what they hold only when told their type as well.
    writer.add_tensor_info(tensor.name, tensor.shape, _FLOAT32, count // numbers * size, stored)
