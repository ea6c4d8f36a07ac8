"""The weights that the serving engine has in memory: bases, the adapters upon them, and who goes when room is short."""

import gc
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from services.training.weights import weights_of
from shared.contracts.failures import Reason
from shared.contracts.serving import LoadedWeights
from shared.contracts.work import ModelInput
from shared.generation.loading import (
    bytes_of,
    check_vocabulary,
    fit_threads,
    load_base,
    load_tokenizer,
    loading,
    positions_of,
)
from shared.generation.templates import ChatTemplate, Turn
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import UserFault

_LORA = "LORA"
_PROMPTS = frozenset({"PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "MULTITASK_PROMPT_TUNING"})


class NoRoom(Exception):
    """Everything in memory is being used; wait."""


@dataclass(eq=False)
class Adapter:
    """An adapter upon a base."""

    sha256: str
    size: int
    used_at: float = 0.0
    rows: int = 0


@dataclass(eq=False)
class Base:
    """Weights in memory; `kind` of adapters it can carry, as PEFT mixes no two upon one model."""

    sha256: str
    kind: str
    folder: Path
    model: Any
    size: int
    used_at: float = 0.0
    rows: int = 0
    """Answers that are made without an adapter."""
    peft: Any = None
    adapters: dict[str, Adapter] = field(default_factory=dict)
    active: str | None = None
    dialects: dict[str, tuple[Any, ChatTemplate]] = field(default_factory=dict)
    """Tokenizer and template, by the template's name: a template may teach the tokenizer tokens."""

    @property
    def is_busy(self) -> bool:
        """Whether answers are being made with it."""
        return bool(self.rows or any(adapter.rows for adapter in self.adapters.values()))

    def put_on(self, adapter: str | None) -> None:
        """Make this adapter, or none, the one that the next forward pass goes through."""
        fit_threads(self.model, self.size)
        if self.peft is None or adapter == self.active:
            return
        tuner = self.peft.base_model
        if adapter is None:
            tuner.disable_adapter_layers()
        else:
            if self.active is None:
                tuner.enable_adapter_layers()
            self.peft.set_adapter(adapter)
        self.active = adapter

    def attach(self, adapter: str, folder: Path, now: float) -> None:
        """Load an adapter."""
        if self.peft is None:
            self.peft = PeftModel.from_pretrained(self.model, folder, adapter_name=adapter)
        else:
            self.peft.load_adapter(folder, adapter_name=adapter)
        self.peft.eval()
        # Where loading leaves off is PEFT's to choose; from here on it is ours.
        self.peft.base_model.enable_adapter_layers()
        self.peft.set_adapter(adapter)
        self.active = adapter
        self.adapters[adapter] = Adapter(adapter, _size_of(folder), now)

    def detach(self, adapter: str) -> None:
        """Drop an adapter that nobody uses."""
        del self.adapters[adapter]
        if not self.adapters:
            self.model, self.peft, self.active = self.peft.unload(), None, None
            return
        other = next(iter(self.adapters))
        self.put_on(other)
        self.peft.delete_adapter(adapter)


@dataclass(frozen=True)
class Served:
    """A model version ready to answer."""

    name: str
    base: Base
    adapter: str | None
    tokenizer: Any
    template: ChatTemplate
    stop_ids: frozenset[int]
    positions: int

    def prompt(self, turns: Sequence[Turn], system: str | None) -> list[int]:
        """Token ids of a conversation, up to where the answer begins."""
        return self.template.encode([*turns, {"role": "assistant", "content": ""}], system, None)[0]

    def count(self, rows: int, now: float) -> None:
        """So many more answers are being made with it."""
        user = self.base if self.adapter is None else self.base.adapters[self.adapter]
        user.rows += rows
        user.used_at = self.base.used_at = now


class Shelf:
    """Loads what is asked for; what was not used for longest goes first when `capacity` bytes are not enough."""

    def __init__(self, store: ArtifactStore, capacity: int, idle_s: float, now: Callable[[], float]) -> None:
        self._store = store
        self._capacity = capacity
        self._idle_s = idle_s
        self._now = now
        self._bases: dict[tuple[str, str], Base] = {}
        self.has_changed = False

    def fetch(self, source: ModelInput, also: int = 0) -> Served:
        """The version, loaded when it was not; NoRoom for now, UserFault for ever. `also` bytes are taken elsewhere."""
        name = f"{source.name}@{source.version}"
        folder = None if source.adapter is None else self._store.materialise(source.adapter)
        kind = _LORA if folder is None else _kind_of(name, folder)
        base = self._bases.get((source.base, kind)) or self._load(name, source.base, kind, also)
        base.used_at = self._now()
        if folder is not None and source.adapter is not None:
            if source.adapter not in base.adapters:
                self._fit(name, _size_of(folder), also, base)
                with loading(name):
                    base.attach(source.adapter, folder, self._now())
                self.has_changed = True
            base.adapters[source.adapter].used_at = self._now()
        tokenizer, template = self._dialect(name, base, source.template)
        return Served(
            name, base, source.adapter, tokenizer, template, frozenset(template.stop_ids), positions_of(base.model)
        )

    def _load(self, name: str, sha256: str, kind: str, also: int) -> Base:
        folder = self._store.materialise(sha256)
        weights = weights_of(folder)
        # Without a GPU they are computed with in full precision, however they were saved.
        self._fit(name, weights.size if torch.cuda.is_available() else 4 * weights.parameters, also, None)
        with loading(name):
            model = load_base(folder)
        base = self._bases[(sha256, kind)] = Base(sha256, kind, folder, model, bytes_of(model), self._now())
        self.has_changed = True
        return base

    def _dialect(self, name: str, base: Base, template: str) -> tuple[Any, ChatTemplate]:
        if template not in base.dialects:
            with loading(name):
                tokenizer = load_tokenizer(base.folder)
            rendered = ChatTemplate(template, tokenizer)
            check_vocabulary(name, template, tokenizer, base.model)
            base.dialects[template] = tokenizer, rendered
        return base.dialects[template]

    @property
    def size(self) -> int:
        """Bytes that all weights in memory take."""
        return sum(base.size + sum(one.size for one in base.adapters.values()) for base in self._bases.values())

    def _fit(self, name: str, size: int, also: int, keep: Base | None) -> None:
        if size + (0 if keep is None else keep.size) > self._capacity:
            raise UserFault(
                Reason.MODEL_UNUSABLE,
                f"model: {name} takes {size / 1e9:.2f} GB, and serving may take {self._capacity / 1e9:.2f} GB; ask "
                "for a smaller one, or have an operator raise TRAINING_SERVING_MEMORY_GB",
            )
        self.make_room(size + also, keep, None)

    def make_room(self, size: int, keep: Base | None, adapter: str | None) -> None:
        """Have `size` bytes free besides the weights; all busy ones and `keep` with its `adapter` stay. Or NoRoom."""
        while self.size + size > self._capacity:
            idle = [(one.used_at, base, one) for base in self._bases.values() for one in base.adapters.values()
                    if not one.rows and (base is not keep or one.sha256 != adapter)]  # fmt: skip
            alone = [(base.used_at, base, None) for base in self._bases.values()
                     if base is not keep and not base.is_busy and not base.adapters]  # fmt: skip
            if not idle and not alone:
                raise NoRoom
            _, base, oldest = min([*idle, *alone], key=lambda found: found[0])
            self._drop(base, oldest)

    def _drop(self, base: Base, adapter: Adapter | None) -> None:
        if adapter is None:
            del self._bases[(base.sha256, base.kind)]
        else:
            base.detach(adapter.sha256)
        self.has_changed = True
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def drop_idle(self) -> None:
        """Forget what nobody has asked for in a while."""
        before = self._now() - self._idle_s
        for base in list(self._bases.values()):
            if not base.is_busy and base.used_at < before:
                self._drop(base, None)
                continue
            for adapter in list(base.adapters.values()):
                if not adapter.rows and adapter.used_at < before:
                    self._drop(base, adapter)

    def listing(self) -> list[LoadedWeights]:
        """Everything in memory."""
        found = []
        for base in self._bases.values():
            found.append(LoadedWeights(base=base.sha256, megabytes=round(base.size / 1e6), rows=base.rows))
            found += [
                LoadedWeights(base=base.sha256, adapter=one.sha256, megabytes=round(one.size / 1e6), rows=one.rows)
                for one in base.adapters.values()
            ]
        return found


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _kind_of(name: str, folder: Path) -> str:
    with loading(name):
        kind = str(json.loads((folder / "adapter_config.json").read_text())["peft_type"])
    if kind in _PROMPTS:
        raise UserFault(Reason.MODEL_UNUSABLE, f"model: {name} is a {kind} adapter, which is not served; train a LoRA")
    return kind
