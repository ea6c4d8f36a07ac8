"""Rows that come and go in a batch get the very tokens that Transformers' own `generate` gives each of them alone."""

import random
from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from shared.generation.decoding import Batch, Row, answer_all

_SIZES: dict[str, Any] = {
    "vocab_size": 120, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
_MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_SIZES)),
    # Its window is shorter than the texts: what is padded must not push out what is seen.
    "mistral": lambda: MistralForCausalLM(MistralConfig(**_SIZES, sliding_window=8)),
    "mamba": lambda: MambaForCausalLM(MambaConfig(vocab_size=120, hidden_size=32, num_hidden_layers=2, state_size=4)),
}


def _made(name: str) -> Any:
    torch.manual_seed(5)
    torch.set_num_threads(1)
    model = _MODELS[name]()
    for weight in model.parameters():
        # As they begin, these models say one token for ever, and every mistake would pass.
        weight.data.mul_(4)
    return model.eval()


def _alone(model: Any, prompt: list[int], most: int) -> list[int]:
    ids = torch.tensor([prompt])
    output = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    return [int(token) for token in output[0, len(prompt) :]]


@pytest.mark.parametrize("name", sorted(_MODELS))
def test_rows_that_come_and_go_are_answered_as_if_they_were_alone(name: str) -> None:
    model, chance = _made(name), random.Random(3)
    rows = [Row([chance.randrange(1, 120) for _ in range(length)]) for length in (3, 17, 9, 30, 1, 12)]
    lengths = {id(row): most for row, most in zip(rows, (20, 6, 14, 9, 25, 3), strict=True)}
    batch, coming = Batch(model, 0), list(rows)
    while coming or batch.rows:
        if batch.rows:
            batch.step()
        batch.leave([row for row in batch.rows if len(row.tokens) == lengths[id(row)]])
        if coming and chance.random() < 0.4:
            joining, coming = coming[:2], coming[2:]
            batch.join(joining)
    assert len({tuple(row.tokens) for row in rows}) == len(rows)
    for row in rows:
        assert row.tokens == _alone(model, list(row.prompt), lengths[id(row)])


def test_an_answer_ends_before_its_stop_token() -> None:
    model = _made("llama")
    prompts = [[5, 6, 7], [9]]
    whole = [_alone(model, prompt, 12) for prompt in prompts]
    stop = whole[0][4]
    first = whole[0].index(stop)
    cut = whole[1].index(stop) if stop in whole[1] else 12
    assert answer_all(Batch(model, 0), prompts, [stop], 12) == [whole[0][:first], whole[1][:cut]]
