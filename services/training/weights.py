"""What a model's folder holds, read from the headers of its safetensors files alone."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.failures import Reason
from shared.worker.attempt import UserFault

_HEAD = "value_head.safetensors"
"""Of a reward model: no weight of the model itself."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How large a model is."""

    size: int
    """In bytes."""
    parameters: int
    takes_images: bool = False
    """Whether it has a vision tower, and what prepares images for it."""


_IMAGE_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def weights_of(model: Path) -> Weights:
    """UserFault when the folder lacks what training needs."""
    files = sorted(file for file in model.glob("*.safetensors") if file.name != _HEAD)
    if not files or not (model / "config.json").is_file():
        raise UserFault(Reason.MODEL_MISSING, "the model's folder has no config.json or no safetensors weights")
    size, parameters = sum(file.stat().st_size for file in files), sum(_parameters(file) for file in files)
    return Weights(size, parameters, _takes_images(model))


def _takes_images(model: Path) -> bool:
    try:
        config = json.loads((model / "config.json").read_bytes())
    except ValueError:
        return False
    has_tower = isinstance(config, dict) and isinstance(config.get("vision_config"), dict)
    return has_tower and any((model / name).is_file() for name in _IMAGE_PROCESSORS)


def _parameters(file: Path) -> int:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (struct.error, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        raise UserFault(Reason.WEIGHTS_DAMAGED, f"{file.name} is no safetensors file") from None
