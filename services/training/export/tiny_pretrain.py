"""Give a random tiny model a first grasp of a text with a short plain language-modelling loop."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import LlamaForCausalLM, Qwen2VLForConditionalGeneration


@dataclass(frozen=True)
class Pretraining:
    """How long and how hard to pre-train; zero steps leave the weights random."""

    steps: int = 200
    batch_size: int = 16
    learning_rate: float = 3e-3
    block_length: int = 64


def pack_blocks(documents: Sequence[Sequence[int]], block_length: int) -> torch.Tensor:
    """Join the documents and cut equal blocks, repeating the text when it is shorter than one block."""
    tokens = [token for document in documents for token in document]
    if not tokens:
        raise ValueError("pre-training needs at least one token of text")
    while len(tokens) < block_length:
        tokens += tokens
    count = len(tokens) // block_length
    return torch.tensor(tokens[: count * block_length]).view(count, block_length)


def pretrain(
    model: LlamaForCausalLM | Qwen2VLForConditionalGeneration, blocks: torch.Tensor, plan: Pretraining, *, seed: int
) -> float | None:
    """Train in place and return the mean loss of the last tenth of the steps, or None for zero steps."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.learning_rate, total_steps=max(plan.steps, 1))
    losses: list[float] = []
    model.train()
    for _ in range(plan.steps):
        batch = blocks[torch.randint(len(blocks), (plan.batch_size,), generator=draw)]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    model.eval()
    tail = losses[-max(1, plan.steps // 10) :]
    return sum(tail) / len(tail) if tail else None
