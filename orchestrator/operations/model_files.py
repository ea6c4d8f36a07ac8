"""What a model folder may hold, and the checks on each of its files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.operations.tensor_headers import TensorHeader, read_header
from shared.kit.body import parse_json
from shared.kit.errors import InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ALLOWED = re.compile(
    r"(.+\.safetensors|.+\.safetensors\.index\.json"
    r"|((adapter|generation|tokenizer|preprocessor|processor|video_preprocessor)_)?config\.json"
    r"|tokenizer\.json|tokenizer\.model|spiece\.model"
    r"|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.(jinja|json)"
    r"|README\.md|LICENSE(\.\w+)?|NOTICE(\.\w+)?)"
)
_STATE = re.compile(
    r".+\.(pt|pth|bin|pkl|pickle|ckpt)|trainer_state\.json|trainer_log\.jsonl|training_args\.\w+|\w+_results\.json"
)
_IMAGE_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})
_FILE_KEYS = frozenset({"tokenizer_file", "vocab_file", "merges_file", "spm_file", "sp_model_file"})
_DUNDER = re.compile(r"__\w+__")
_MAX_JSON = 16 << 20
_MAX_TEXT = 256 << 20
"""Of files that are stored but not read here, such as a tokenizer's table."""


def refuse(name: str, why: str) -> NoReturn:
    """Say which file, and why not."""
    raise InvalidRequest(f"files: {name}: {why}", param="files", code="invalid_model")


def check_file_name(name: str) -> str:
    """A file name a model folder may have; never a path."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "files: send files with plain names, without folders, links or unusual characters",
            param="files", code="invalid_model",
        )  # fmt: skip
    if _STATE.fullmatch(name):
        refuse(
            name,
            "is a trainer's state or a pickle; leave it out: weights are taken as safetensors, never pickles, and a "
            "training on them begins with a fresh optimizer",
        )
    if not _ALLOWED.fullmatch(name):
        refuse(name, "is no part of a model that we take; leave it out (weights must be .safetensors, never pickles)")
    return name


def check_folder(folder: Path) -> int:
    """Check every file against the others; answers the number of parameters."""
    names = {path.name for path in folder.iterdir()}
    if "adapter_config.json" in names:
        refuse("adapter_config.json", "makes this an adapter; say the version it goes on as base")
    if "config.json" not in names:
        refuse("config.json", "is missing; it says what the model is")
    weights = sorted(name for name in names if name.endswith(".safetensors"))
    if not weights:
        refuse("*.safetensors", "is missing; convert other weights to safetensors first")
    for name in sorted(names - set(weights)):
        _check_text(folder / name, names)
    return sum(header_of(folder / name).parameters for name in weights)


def folder_takes_images(folder: Path) -> bool:
    """Whether a folder that was checked holds a model with a vision tower, and what prepares images for it."""
    has_tower = isinstance(json_of(folder / "config.json").get("vision_config"), dict)
    return has_tower and any((folder / name).exists() for name in _IMAGE_PROCESSORS)


def _check_text(path: Path, names: set[str]) -> None:
    is_table = path.suffix != ".json" or path.name in {"tokenizer.json", "vocab.json", "added_tokens.json"}
    if path.stat().st_size > (_MAX_TEXT if is_table else _MAX_JSON):
        refuse(path.name, "is too large for what it is")
    if path.name == "chat_template.jinja":
        _check_template(path.name, path.read_text(errors="replace"))
    if is_table:
        return
    content = json_of(path)
    if path.name == "config.json" and not isinstance(content.get("model_type"), str):
        refuse(path.name, "has no model_type")
    if path.name.endswith(".index.json"):
        listed = content.get("weight_map")
        if not isinstance(listed, dict) or not all(
            isinstance(shard, str) and shard in names for shard in listed.values()
        ):
            refuse(path.name, "names weights that were not uploaded")
    for key, value in _entries(content):
        _check_entry(path.name, key, value)


def _check_template(name: str, value: Any) -> None:
    """Templates are only ever run in a sandbox; one that feels for its walls is no honest model's."""
    waiting = [value]
    while waiting:
        text = waiting.pop()
        if isinstance(text, dict | list):
            waiting.extend(text.values() if isinstance(text, dict) else text)
        elif isinstance(text, str) and _DUNDER.search(text):
            refuse(name, "has a chat template that reaches into Python's own objects; remove it")


def json_of(path: Path) -> dict[str, Any]:
    """A file that is one JSON object, strictly read."""
    try:
        content = parse_json(path.read_bytes())
    except InvalidRequest:
        refuse(path.name, "is not strict JSON in UTF-8")
    if not isinstance(content, dict):
        refuse(path.name, "is not a JSON object")
    return content


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """Every key at every depth."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_entry(name: str, key: str, value: Any) -> None:
    if key in _CODE_KEYS or key.endswith("_attn_implementation_internal"):
        refuse(name, "asks for code to be loaded with the model (auto_map, trust_remote_code …); remove that key")
    if key.endswith("attn_implementation") and not (value is None or (isinstance(value, str) and "/" not in value)):
        refuse(name, "names an attention kernel to download; remove that key")
    if key == "chat_template":
        _check_template(name, value)
    if key in _FILE_KEYS and isinstance(value, str) and ("/" in value or "\\" in value):
        refuse(name, f"names a file outside the model folder in {key}; remove that key")


def header_of(path: Path) -> TensorHeader:
    """The header of a safetensors file that is sound."""
    try:
        with path.open("rb") as stream:
            return read_header(stream, path.stat().st_size)
    except ValueError as fault:
        refuse(path.name, str(fault))
