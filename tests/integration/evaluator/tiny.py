"""Makes a tiny Llama, and a LoRA adapter that learned given answers by heart."""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from services.training.export.tiny import make_tiny

_MOST_STEPS = 150
_LEARNED = 0.02

# Two threads that wait for each other on a busy machine are many times slower than one.
torch.set_num_threads(1)


def untaught(folder: Path, texts: Sequence[str]) -> Path:
    """A model of random weights with a tokenizer of its own."""
    make_tiny(texts, folder, seed=1, pretrain_steps=0)
    return folder


def widened(base: Path, folder: Path, vocabulary: int) -> Path:
    """The same model with tables for so many tokens: large on disk and in memory, quickly made."""
    model = AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(vocabulary, mean_resizing=False)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def teach(base: Path, folder: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """Overfit a LoRA adapter on the pairs, as ChatML turns."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(base)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"]
    config = LoraConfig(r=32, lora_alpha=64, target_modules=targets, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    rows = [
        (
            tokenizer.encode(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"),
            tokenizer.encode(f"{answer}<|im_end|>\n"),
        )
        for question, answer in pairs
    ]
    width = max(len(asked) + len(said) for asked, said in rows)
    tokens = torch.full((len(rows), width), tokenizer.pad_token_id)
    labels = torch.full((len(rows), width), -100)
    for place, (asked, said) in enumerate(rows):
        tokens[place, : len(asked) + len(said)] = torch.tensor(asked + said)
        labels[place, len(asked) : len(asked) + len(said)] = torch.tensor(said)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=5e-3)
    for _ in range(_MOST_STEPS):
        loss = model(input_ids=tokens, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if float(loss.detach()) < _LEARNED:
            break
    model.save_pretrained(folder, save_embedding_layers=True)
    return folder
