"""What the folder of a LoRA adapter made elsewhere may hold, and whether it fits its base."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.operations.model_files import header_of, json_of, refuse
from orchestrator.operations.tensor_headers import TensorHeader, read_header
from shared.kit.artifacts import ArtifactStore

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
VALUE_HEAD = "value_head.safetensors"
_BESIDE = re.compile(r"README\.md|LICENSE(\.\w+)?|NOTICE(\.\w+)?")
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,199}")
_TENSOR = re.compile(
    r"base_model\.model\.(?P<module>[\w.]{1,200}?)\."
    r"(?P<part>lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B|lora_magnitude_vector(\.weight)?|weight|bias)"
)
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
"""Weights of other kinds may be packed: their shapes then say nothing about a layer's widths."""


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_rank(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65_536


def _are_modules(value: Any) -> bool:
    # A text would be read as a regular expression.
    return isinstance(value, list) and all(isinstance(name, str) and _MODULE.fullmatch(name) for name in value)


def _is_pattern(value: Any) -> bool:
    return isinstance(value, dict) and _are_modules(list(value)) and all(map(_is_number, value.values()))


_KEPT: dict[str, Callable[[Any], bool]] = {
    "peft_type": lambda value: value == "LORA",
    "task_type": lambda value: value in {None, "CAUSAL_LM"},
    "r": _is_rank,
    "lora_alpha": lambda value: _is_number(value) and value > 0,
    "lora_dropout": lambda value: _is_number(value) and 0 <= value < 1,
    "target_modules": lambda value: bool(value) and _are_modules(value),
    "modules_to_save": lambda value: value is None or _are_modules(value),
    "rank_pattern": _is_pattern,
    "alpha_pattern": _is_pattern,
    "bias": lambda value: value == "none",
    "fan_in_fan_out": _is_flag,
    "use_rslora": _is_flag,
    "use_dora": _is_flag,
    "inference_mode": _is_flag,
    "init_lora_weights": lambda value: _is_flag(value) or value == "gaussian",
}
_NEEDED = ("peft_type", "r", "lora_alpha", "target_modules")
_WITHOUT_MEANING = frozenset({"base_model_name_or_path", "revision", "peft_version", "megatron_core", "auto_mapping",
                              "qalora_group_size"})  # fmt: skip
"""Left out of what is stored: names of another machine, and settings of what must be off."""


def check_adapter(folder: Path, base: TensorHeader, base_name: str) -> None:
    """Check each file, and the weights against those of the base; the config is written anew, with its base's name."""
    names = {path.name for path in folder.iterdir()}
    for missing in sorted({CONFIG, WEIGHTS} - names):
        refuse(missing, "is missing; an adapter is adapter_config.json and adapter_model.safetensors")
    for name in sorted(names - {CONFIG, WEIGHTS, VALUE_HEAD}):
        if not _BESIDE.fullmatch(name):
            refuse(name, "is no part of an adapter, which takes config and tokenizer from its base; leave it out")
    config = _checked_config(json_of(folder / CONFIG))
    _check_fit(header_of(folder / WEIGHTS), base, config, base_name)
    if VALUE_HEAD in names:
        header_of(folder / VALUE_HEAD)
    (folder / CONFIG).write_text(
        json.dumps({**config, "base_model_name_or_path": base_name, "inference_mode": True}, indent=2, sort_keys=True)
    )


def tensors_of(store: ArtifactStore, tree: str) -> TensorHeader:
    """What the safetensors files of a stored model hold; only their headers are read. Blocking."""
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, str] = {}
    parameters = 0
    for item in store.tree(tree):
        if item.path.endswith(".safetensors"):
            with store.open(item.sha256) as stream:
                header = read_header(stream, item.size)
            shapes |= header.shapes
            kinds |= header.kinds
            parameters += header.parameters
    return TensorHeader(shapes, kinds, parameters)


def _checked_config(content: Mapping[str, Any]) -> dict[str, Any]:
    for name in _NEEDED:
        if name not in content:
            refuse(CONFIG, f"has no {name}")
    if "pissa" in str(content.get("init_lora_weights")) or "olora" in str(content.get("init_lora_weights")):
        refuse(CONFIG, "changed its base's weights (init_lora_weights); convert it to a plain LoRA where it was made")
    for name, value in content.items():
        if name in _WITHOUT_MEANING:
            continue
        known = _MODULE.fullmatch(name) is not None and len(name) <= 64
        if name in _KEPT and not _KEPT[name](value):
            refuse(CONFIG, f"has a value in {name} that is not taken; plain LoRA adapters are")
        if name not in _KEPT and value not in (None, False, {}, []):
            refuse(CONFIG, f"sets {name if known else 'something'}, which is not taken; plain LoRA adapters are")
    kept = {name: content[name] for name in _KEPT if name in content}
    return {**kept, "target_modules": sorted(set(content["target_modules"]))}


def _check_fit(adapter: TensorHeader, base: TensorHeader, config: Mapping[str, Any], base_name: str) -> None:
    """Each layer's matrices have one rank, and the widths of the base's layer where the base has it by this name."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in adapter.shapes.items():
        found = _TENSOR.fullmatch(name)
        if found is None:
            refuse(WEIGHTS, "holds a tensor that is no part of a LoRA adapter")
        layers.setdefault(found["module"], {})[found["part"]] = shape
    if not any(f"{module}.weight" in base.shapes for module in layers):
        refuse(WEIGHTS, f"has no layer that {base_name} has; is it an adapter of another base?")
    for module, parts in layers.items():
        rank = None if config.get("rank_pattern") else int(config["r"])
        if (fault := _fault_of(module, parts, base, rank, is_turned=bool(config.get("fan_in_fan_out")))) is not None:
            refuse(WEIGHTS, f"{module}: {fault}")


def _fault_of(
    module: str, parts: Mapping[str, tuple[int, ...]], base: TensorHeader, rank: int | None, *, is_turned: bool
) -> str | None:
    name = f"{module}.weight"
    full = base.shapes.get(name) if base.kinds.get(name) in _FLOATS else None
    if "weight" in parts and full is not None and parts["weight"] != full:
        return "has another shape than the base's"
    down, up = parts.get("lora_A.weight"), parts.get("lora_B.weight")
    if (down is None) != (up is None):
        return "has one of its two matrices only"
    if down is None or up is None:
        return None
    if len(down) != 2 or len(up) != 2 or down[0] != up[1] or (rank is not None and down[0] != rank):
        return "its matrices are not of the rank that adapter_config.json says"
    widths = (up[0], down[1])
    if full is not None and len(full) == 2 and widths != (full[::-1] if is_turned else full):
        return "has other widths than the base's; is it an adapter of another base?"
    return None
