"""The door to llama.cpp, which alone writes K-quantizations."""

import ctypes
from importlib.util import find_spec
from pathlib import Path

from services.training.export.gguf_quantizing import KINDS
from shared.contracts.exports import Quantization

EXTRA = "imts[llamacpp]"


def is_installed() -> bool:
    """Whether llama-cpp-python is there."""
    return find_spec("llama_cpp") is not None


def quantize(source: Path, target: Path, quantization: Quantization) -> None:
    """Write `source`, a GGUF file without loss, in a K-quantization; RuntimeError when llama.cpp will not."""
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = int(KINDS[quantization].file_type)
    fault = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters))
    if fault:
        raise RuntimeError(f"llama.cpp could not write {quantization} (code {fault})")
