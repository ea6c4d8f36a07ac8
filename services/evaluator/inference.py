"""The door to torch, transformers and peft: loads a model and answers questions in batches."""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from services.evaluator.batches import by_length
from services.evaluator.prompts import Prompter
from shared.contracts.failures import FailureClass, Reason
from shared.contracts.work import ModelInput
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import UserFault
from shared.worker.failures.diagnosis import recognise
from shared.worker.failures.faults import faults_of

_MOST_LOGITS = 1 << 28
"""Numbers in one batch's output; at a vocabulary of 150,000 this is a gigabyte in full precision."""

_THREADS = torch.get_num_threads()
_ONE_THREAD_BYTES = 8 << 20
"""Weights up to here are answered with one thread: waking a second costs more than it computes."""


class LoadedModel:
    """A model in memory with its tokenizer and its template; `close` gives the memory back."""

    def __init__(self, source: ModelInput, store: ArtifactStore) -> None:
        self.name = f"{source.name}@{source.version}"
        base = store.materialise(source.base)
        adapter = None if source.adapter is None else store.materialise(source.adapter)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
            self._model = _load(base, adapter)
            _fit_threads(self._model)
        except (OSError, ValueError, KeyError, RuntimeError) as fault:
            reason = recognise(faults_of(fault))
            if reason is Reason.ENGINE_FAILED:
                reason = Reason.MODEL_UNUSABLE
            elif reason.failure_class is not FailureClass.USER:
                raise
            raise UserFault(reason, f"modelName: {self.name} cannot be loaded: {fault}") from fault
        self.prompter = Prompter(source.template, self.tokenizer)
        if len(self.tokenizer) > self._model.get_input_embeddings().weight.shape[0]:
            raise UserFault(
                Reason.TEMPLATE_MISMATCH,
                f"modelName: template {source.template} needs tokens that {self.name} has no weights for",
            )

    @property
    def positions(self) -> int:
        """Tokens the model can attend to; a large number when its configuration does not say."""
        return int(getattr(self._model.config, "max_position_embeddings", None) or 1 << 30)

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
            tokens, mask = self._padded([prompts[index] for index in batch], on_the_left=True)
            with torch.inference_mode():
                output = self._model.generate(
                    input_ids=tokens, attention_mask=mask, max_new_tokens=most_tokens, do_sample=False, num_beams=1,
                    eos_token_id=self.prompter.stop_ids, pad_token_id=self.tokenizer.pad_token_id,
                )  # fmt: skip
            texts = self.tokenizer.batch_decode(output[:, tokens.shape[1] :], skip_special_tokens=True)
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
            tokens, mask = self._padded([[*pairs[index][0], *pairs[index][1]] for index in batch], on_the_left=False)
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

    def _padded(self, rows: Sequence[Sequence[int]], *, on_the_left: bool) -> tuple[Any, Any]:
        width = max(len(row) for row in rows)
        tokens = torch.full((len(rows), width), self.tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            span = slice(width - len(row), width) if on_the_left else slice(0, len(row))
            tokens[place, span] = torch.tensor(list(row), dtype=torch.long)
            mask[place, span] = 1
        return tokens.to(self._model.device), mask.to(self._model.device)


def _fit_threads(model: Any) -> None:
    if model.device.type == "cpu":
        size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
        torch.set_num_threads(1 if size <= _ONE_THREAD_BYTES else _THREADS)


def _load(base: Path, adapter: Path | None) -> Any:
    """The weights as they were saved on a GPU, in full precision without one."""
    on_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        base, dtype="auto" if on_gpu else torch.float32, local_files_only=True, trust_remote_code=False,
        use_safetensors=True,
    )  # fmt: skip
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return model.to("cuda" if on_gpu else "cpu").eval()
