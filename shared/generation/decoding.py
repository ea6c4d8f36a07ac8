"""Answers many prompts at once, token by token; rows come and go between two tokens."""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from shared.generation.sampling import Rules, choose


@dataclass(eq=False, slots=True)
class Row:
    """One answer in the making."""

    prompt: Sequence[int]
    rules: Rules = field(default_factory=Rules)
    tokens: list[int] = field(default_factory=list)
    """Generated so far, the stop token included."""


class Batch:
    """Rows of one model with what it remembers of them: keys and values, padded on the left to one width.

    The padding is masked and positions are counted without it, so that a row does not notice who is beside it. A model
    that keeps a running state instead of keys and values reads each row from its beginning for every token.
    """

    def __init__(self, model: Any, pad: int | None) -> None:
        self._model = model
        self._pad = pad or 0
        takes = inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        self._takes_positions = "position_ids" in takes
        self._remembers = _has_keys_and_values(model)
        self.rows: list[Row] = []
        self._cache = DynamicCache()
        self._mask = torch.zeros((0, 0), dtype=torch.long, device=model.device)

    def join(self, rows: Sequence[Row]) -> None:
        """Take rows in and generate the first token of each; those already here wait meanwhile."""
        cache = DynamicCache() if self._remembers else None
        mask = self._read(rows, cache)
        if cache is not None:
            self._cache, self._mask = _joined((self._cache, self._mask), (cache, mask))
        self.rows += rows

    def step(self) -> None:
        """Generate the next token of every row."""
        if not self._remembers:
            self._read(self.rows, None)
            return
        one = torch.ones((len(self.rows), 1), dtype=torch.long, device=self._model.device)
        self._mask = torch.cat([self._mask, one], dim=1)
        positions = self._mask.sum(dim=1, keepdim=True) - 1
        newest = torch.tensor([row.tokens[-1:] for row in self.rows], dtype=torch.long, device=self._model.device)
        self._forward(newest, self._mask, positions, self._cache, self.rows)

    def leave(self, rows: Iterable[Row]) -> None:
        """Forget rows, and the padding that only they made necessary."""
        gone = {id(row) for row in rows}
        kept = [place for place, row in enumerate(self.rows) if id(row) not in gone]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in kept]
        if not kept:
            self._cache, self._mask = DynamicCache(), self._mask[:0, :0]
        elif self._remembers:
            self._mask = self._mask[kept]
            unused = self._mask.shape[1] - int(self._mask.sum(dim=1).max())
            self._mask = self._mask[:, unused:]
            for layer in self._cache.layers:
                layer.keys = layer.keys[kept, :, unused:]
                layer.values = layer.values[kept, :, unused:]

    def _read(self, rows: Sequence[Row], cache: Any) -> Any:
        """Read rows from their beginning; answers their mask."""
        texts = [[*row.prompt, *row.tokens] for row in rows]
        width = max(len(text) for text in texts)
        tokens = torch.tensor([[self._pad] * (width - len(text)) + text for text in texts], dtype=torch.long)
        seen = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts], dtype=torch.long)
        mask = seen.to(self._model.device)
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
        self._forward(tokens.to(self._model.device), mask, positions, cache, rows)
        return mask

    def _forward(self, tokens: Any, mask: Any, positions: Any, cache: Any, rows: Sequence[Row]) -> None:
        where = {"position_ids": positions} if self._takes_positions else {}
        memory = {"use_cache": False} if cache is None else {"past_key_values": cache, "use_cache": True}
        with torch.inference_mode():
            output = self._model(input_ids=tokens, attention_mask=mask, **memory, **where, **self._last_only)
            chosen = choose(output.logits[:, -1], [row.rules for row in rows])
        for row, token in zip(rows, chosen, strict=True):
            row.tokens.append(token)


def _has_keys_and_values(model: Any) -> bool:
    kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
    return kinds <= {DynamicLayer, DynamicSlidingWindowLayer} and not getattr(model, "_is_stateful", False)


def _joined(here: tuple[Any, Any], new: tuple[Any, Any]) -> tuple[Any, Any]:
    (cache, mask), (added, added_mask) = here, new
    if not mask.shape[0]:
        return added, added_mask
    width = max(mask.shape[1], added_mask.shape[1])
    for layer, other in zip(cache.layers, added.layers, strict=True):
        layer.keys = torch.cat([_widened(layer.keys, width), _widened(other.keys, width)])
        layer.values = torch.cat([_widened(layer.values, width), _widened(other.values, width)])
    masks = [torch.nn.functional.pad(one, (width - one.shape[1], 0)) for one in (mask, added_mask)]
    return cache, torch.cat(masks)


def _widened(states: Any, width: int) -> Any:
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[-2], 0))


def answer_all(batch: Batch, prompts: Sequence[Sequence[int]], stop_ids: Sequence[int], most_tokens: int) -> list[Any]:
    """The likeliest answer to each prompt in token ids, without its stop token; all are begun together."""
    rows = [Row(prompt) for prompt in prompts]
    stops = frozenset(stop_ids)
    batch.join(rows)
    while batch.rows:
        batch.leave([row for row in batch.rows if row.tokens[-1] in stops or len(row.tokens) >= most_tokens])
        if batch.rows:
            batch.step()
    return [row.tokens[:-1] if row.tokens[-1] in stops else row.tokens for row in rows]
