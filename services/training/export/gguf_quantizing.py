"""How each tensor of a GGUF file is to be stored, and which are too narrow for it."""

from dataclasses import dataclass
from typing import Any

import gguf

from services.training.export.gguf_tensors import Source
from shared.contracts.exports import Quantization

_TYPE = gguf.GGMLQuantizationType
_FILE = gguf.LlamaFileType


@dataclass(frozen=True, slots=True)
class Kind:
    """What a quantization is in a file."""

    file_type: gguf.LlamaFileType
    main: gguf.GGMLQuantizationType
    """The type that the matrices have; of a mix, the one that it is named after."""

    @property
    def block(self) -> int:
        """A matrix's rows must be a multiple of this long."""
        return int(gguf.GGML_QUANT_SIZES[self.main][0])


KINDS = {
    Quantization.F32: Kind(_FILE.ALL_F32, _TYPE.F32),
    Quantization.F16: Kind(_FILE.MOSTLY_F16, _TYPE.F16),
    Quantization.BF16: Kind(_FILE.MOSTLY_BF16, _TYPE.BF16),
    Quantization.Q8_0: Kind(_FILE.MOSTLY_Q8_0, _TYPE.Q8_0),
    Quantization.Q6_K: Kind(_FILE.MOSTLY_Q6_K, _TYPE.Q6_K),
    Quantization.Q5_K_M: Kind(_FILE.MOSTLY_Q5_K_M, _TYPE.Q5_K),
    Quantization.Q5_K_S: Kind(_FILE.MOSTLY_Q5_K_S, _TYPE.Q5_K),
    Quantization.Q4_K_M: Kind(_FILE.MOSTLY_Q4_K_M, _TYPE.Q4_K),
    Quantization.Q4_K_S: Kind(_FILE.MOSTLY_Q4_K_S, _TYPE.Q4_K),
    Quantization.Q3_K_L: Kind(_FILE.MOSTLY_Q3_K_L, _TYPE.Q3_K),
    Quantization.Q3_K_M: Kind(_FILE.MOSTLY_Q3_K_M, _TYPE.Q3_K),
    Quantization.Q3_K_S: Kind(_FILE.MOSTLY_Q3_K_S, _TYPE.Q3_K),
    Quantization.Q2_K: Kind(_FILE.MOSTLY_Q2_K, _TYPE.Q2_K),
}
LARGEST_ERRORS = {
    _TYPE.F32: 1e-7, _TYPE.F16: 2e-3, _TYPE.BF16: 8e-3, _TYPE.Q8_0: 0.02, _TYPE.Q6_K: 0.05, _TYPE.Q5_K: 0.1,
    _TYPE.Q5_0: 0.1, _TYPE.Q5_1: 0.1, _TYPE.Q4_K: 0.2, _TYPE.Q4_0: 0.2, _TYPE.Q4_1: 0.2, _TYPE.IQ4_NL: 0.2,
    _TYPE.Q3_K: 0.35, _TYPE.Q2_K: 0.6,
}  # fmt: skip
"""Of a tensor read back, relative to it: more is no rounding."""
_STORED = {"F32": Quantization.F32, "F16": Quantization.F16, "BF16": Quantization.BF16}
K_TYPES = frozenset({_TYPE.Q2_K, _TYPE.Q3_K, _TYPE.Q4_K, _TYPE.Q5_K, _TYPE.Q6_K})
"""What llama.cpp mixes in a K-quantization; anything else in one took the place of a type that did not fit."""


def too_narrow(tensors: list[Source], quantization: Quantization) -> list[Source]:
    """Matrices whose rows do not divide into the quantization's blocks."""
    block = KINDS[quantization].block
    return [tensor for tensor in tensors if tensor.is_matrix and tensor.shape[1] % block]


def type_of(tensor: Source, quantization: Quantization) -> Any:
    """The type of one tensor: vectors in 32 bits, matrices as asked, those that are too narrow in 16."""
    kind = KINDS[quantization]
    if not tensor.is_matrix:
        return _TYPE.F32
    return kind.main if tensor.shape[1] % kind.block == 0 else _TYPE.F16


def lossless(tensors: list[Source]) -> Quantization:
    """A quantization that keeps the model as it is stored: what llama.cpp is to quantise from."""
    stored = {tensor.dtype for tensor in tensors if tensor.is_matrix}
    return _STORED.get(stored.pop(), Quantization.F32) if len(stored) == 1 else Quantization.F32
