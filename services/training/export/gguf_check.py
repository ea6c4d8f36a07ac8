"""Reads a GGUF file back and holds it against the model that it was written from."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

from services.training.export.gguf_quantizing import K_TYPES, KINDS, LARGEST_ERRORS
from services.training.export.gguf_tensors import Source
from shared.contracts.exports import Quantization


class Untrue(Exception):
    """The file is not what it was to be; the text says in what."""


@dataclass(slots=True)
class Findings:
    """What a file holds."""

    types: Counter[str] = field(default_factory=Counter)
    """Matrices by type."""
    fallbacks: Counter[str] = field(default_factory=Counter)
    """Those of them that are of a type nobody asked for."""
    largest_error: float = 0.0
    """Of any tensor, relative to it (Frobenius norms)."""


def check_gguf(path: Path, tensors: list[Source], quantization: Quantization) -> Findings:
    """What is in the file; Untrue when its type is another, a tensor is missing, or one is not the model's."""
    reader = gguf.GGUFReader(path)
    kind = KINDS[quantization]
    file_type = reader.fields["general.file_type"].contents()
    if file_type != kind.file_type:
        raise Untrue(f"the file says it is of type {file_type}, not {kind.file_type.value} ({quantization})")
    found = {tensor.name: tensor for tensor in reader.tensors}
    asked = K_TYPES if quantization.needs_llama_cpp else {kind.main}
    findings = Findings()
    for tensor in tensors:
        if tensor.name not in found:
            raise Untrue(f"the file has no {tensor.name}")
        stored = found[tensor.name]
        if tensor.is_matrix:
            findings.types[stored.tensor_type.name] += 1
            if stored.tensor_type not in asked:
                findings.fallbacks[stored.tensor_type.name] += 1
        error = _error(stored, tensor)
        findings.largest_error = max(findings.largest_error, error)
        if error > LARGEST_ERRORS[stored.tensor_type]:
            raise Untrue(f"{tensor.name} differs from the model's by {error:.2g} of its size")
    if not findings.types[kind.main.name] and not findings.fallbacks:
        raise Untrue(f"no matrix in the file is of type {kind.main.name}")
    return findings


def _error(stored: gguf.ReaderTensor, tensor: Source) -> float:
    wanted = tensor.load()
    read = gguf.quants.dequantize(stored.data, stored.tensor_type).reshape(wanted.shape)
    size = float(np.linalg.norm(wanted))
    distance = float(np.linalg.norm(read - wanted))
    return distance / size if size else distance
