"""A model that sits a suite: answers questions in batches, and tells how surprised it is by references."""

import gc
from collections.abc import Callable, Sequence
from typing import Any

import torch

from services.evaluator.batches import by_length
from services.evaluator.prompts import Prompter
from shared.contracts.work import ModelInput
from shared.generation.decoding import Batch, answer_all
from shared.generation.loading import (
    bytes_of,
    check_vocabulary,
    fit_threads,
    load_base,
    load_tokenizer,
    loading,
    merge_adapter,
    positions_of,
)
from shared.kit.artifacts import ArtifactStore

_MOST_LOGITS = 1 << 28
"""Numbers in one batch's output; at a vocabulary of 150,000 this is a gigabyte in full precision."""


class LoadedModel:
    """A model in memory with its tokenizer and its template; `close` gives the memory back."""

    def __init__(self, source: ModelInput, store: ArtifactStore) -> None:
        self.name = f"{source.name}@{source.version}"
        base = store.materialise(source.base)
        adapter = None if source.adapter is None else store.materialise(source.adapter)
        with loading(self.name):
            self.tokenizer = load_tokenizer(base)
            self._model = load_base(base)
            if adapter is not None:
                self._model = merge_adapter(self._model, adapter)
            fit_threads(self._model, bytes_of(self._model))
        self.prompter = Prompter(source.template, self.tokenizer)
        check_vocabulary(self.name, source.template, self.tokenizer, self._model)

    @property
    def positions(self) -> int:
        """Tokens the model can attend to; a large number when its configuration does not say."""
        return positions_of(self._model)

    def close(self) -> None:
        """Drop the weights."""
        del self._model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def answer(
        self, prompts: Sequence[Sequence[int]], *, batch_size: int, most_tokens: int, done: Callable[[int], None]
    ) -> list[str]:
        """The most likely continuation of each prompt, token by token, up to a stop token."""
        answers = [""] * len(prompts)
        for batch in by_length([len(prompt) for prompt in prompts], batch_size):
            tokens = answer_all(
                Batch(self._model, self.tokenizer.pad_token_id), [prompts[index] for index in batch],
                self.prompter.stop_ids, most_tokens,
            )  # fmt: skip
            texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
            for index, text in zip(batch, texts, strict=True):
                answers[index] = text.strip()
            done(len(batch))
        return answers

    def token_losses(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        *,
        batch_size: int,
        done: Callable[[int], None],
    ) -> list[float]:
        """Summed cross-entropy, in nats, of each answer after its question."""
        sums = [0.0] * len(pairs)
        lengths = [len(question) + len(answer) for question, answer in pairs]
        for batch in by_length(lengths, batch_size, _MOST_LOGITS // self._model.config.vocab_size):
            tokens, mask = self._padded([[*pairs[index][0], *pairs[index][1]] for index in batch])
            with torch.inference_mode():
                logits = self._model(input_ids=tokens, attention_mask=mask).logits
            for place, index in enumerate(batch):
                start, end = len(pairs[index][0]), lengths[index]
                loss = torch.nn.functional.cross_entropy(
                    logits[place, start - 1 : end - 1].float(), tokens[place, start:end], reduction="sum"
                )
                sums[index] = float(loss)
            done(len(batch))
        return sums

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        width = max(len(row) for row in rows)
        tokens = torch.full((len(rows), width), self.tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(list(row), dtype=torch.long)
            mask[place, : len(row)] = 1
        return tokens.to(self._model.device), mask.to(self._model.device)
