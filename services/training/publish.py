"""Puts a finished training's weights into the artifact store: safetensors and what reads them, nothing else."""

import json
import os
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from services.training.cards import write_card
from shared.contracts.training import FinetuningType
from shared.contracts.work import Artifact
from shared.kit.artifacts import ArtifactStore

TREE = "application/vnd.imts.tree+json"
ADAPTER = "adapter"
MODEL = "model"
_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")
_HEAD = ("value_head.safetensors",)
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "*.tiktoken", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "chat_template.jinja",
    "*processor_config.json",
)  # fmt: skip
_MODEL_FILES = (
    "config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json", *_TOKENIZER_FILES,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """What of a training's output is its result."""

    kind: FinetuningType
    has_head: bool
    """Whether its value head belongs to the model, or only helped to train it."""


def publish(store: ArtifactStore, output: Path, staging: Path, made: Made, base_name: str, card: str) -> Artifact:
    """Store the adapter, or the whole model where its own weights were trained."""
    is_adapter = made.kind.makes_adapter
    files = _ADAPTER_FILES if is_adapter else _MODEL_FILES
    stage_files(output, staging, files + _HEAD if made.has_head else files)
    if is_adapter:
        _make_portable(staging / "adapter_config.json", base_name)
    write_card(staging, card)
    return put(store, staging, ADAPTER if is_adapter else MODEL)


def publish_model(store: ArtifactStore, output: Path, staging: Path, card: str) -> Artifact:
    """Store a whole model."""
    stage_files(output, staging, _MODEL_FILES)
    write_card(staging, card)
    return put(store, staging, MODEL)


def stage_tokenizer(model: Path, staging: Path) -> None:
    """Link what reads and writes a model's texts into another folder."""
    stage_files(model, staging, _TOKENIZER_FILES)


def put(store: ArtifactStore, folder: Path, name: str) -> Artifact:
    """Store a folder under an artifact's name."""
    blob = store.put_tree(folder)
    return Artifact(name=name, sha256=blob.sha256, size=blob.size, media_type=TREE, is_tree=True)


def stage_files(output: Path, staging: Path, patterns: tuple[str, ...]) -> None:
    """Link the files that belong into a folder of their own."""
    staging.mkdir(parents=True, exist_ok=True)
    for path in output.iterdir():
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in patterns):
            os.link(path, staging / path.name)


def _make_portable(config: Path, base_name: str) -> None:
    """Name the base instead of this machine's copy of it, and sort what Python's hashing ordered by chance."""
    content = json.loads(config.read_text())
    content["base_model_name_or_path"] = base_name
    content["target_modules"] = sorted(content["target_modules"])
    config.unlink()
    config.write_text(json.dumps(content, indent=2, sort_keys=True))
