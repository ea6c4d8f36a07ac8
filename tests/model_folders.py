"""Model folders as they are sent: file names and their bytes."""

import json
import struct
from typing import Any

Files = dict[str, bytes]


def weights(header: Any = None, data: bytes = bytes(24)) -> bytes:
    """A safetensors file; six floats unless told otherwise."""
    if header is None:
        header = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"format": "pt"}}
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


CONFIG = json.dumps({"model_type": "llama", "hidden_size": 2}).encode()
GOOD: Files = {
    "config.json": CONFIG,
    "model.safetensors": weights(),
    "tokenizer.json": b"{}",
    "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}).encode(),
}
