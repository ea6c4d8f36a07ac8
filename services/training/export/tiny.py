"""Make a tiny Llama, or Qwen2-VL, and its tokenizer from a few texts, so that every path runs on a laptop."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from services.training.export import tiny_vision
from services.training.export.tiny_pretrain import Pretraining, pack_blocks, pretrain
from services.training.export.tiny_tokenizer import as_user_turn, train_tokenizer


@dataclass(frozen=True)
class TinyReport:
    """What was made; `pretrain_loss` is None when no pre-training was asked for."""

    path: Path
    parameters: int
    vocab_size: int
    pretrain_loss: float | None


def make_tiny(
    texts: Iterable[str],
    out_dir: Path,
    *,
    seed: int,
    hidden_size: int = 64,
    layers: int = 2,
    heads: int = 4,
    vocab_size: int = 512,
    context_length: int = 1024,
    pretrain_steps: int = 200,
    takes_images: bool = False,
) -> TinyReport:
    """Write config, safetensors and tokenizer to `out_dir`; same texts, seed and thread count, same weights.

    The texts are shown as user turns only. Give it questions without their answers and the model knows the
    language of the data set but none of its facts, as a base model should.
    """
    corpus = [text for text in texts if text]
    if not corpus:
        raise ValueError("make_tiny needs at least one text that is not empty")
    marks = tiny_vision.MARKS if takes_images else ()
    tokenizer = train_tokenizer(corpus, vocab_size=vocab_size, context_length=context_length, marks=marks)
    shape = (tokenizer, hidden_size, layers, heads, context_length)
    # A private random state: making a model must not change what the caller draws next.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = tiny_vision.new_model(*shape) if takes_images else LlamaForCausalLM(_tiny_config(*shape))
    plan = Pretraining(steps=pretrain_steps)
    blocks = pack_blocks([tokenizer.encode(as_user_turn(text)) for text in corpus], plan.block_length)
    loss = pretrain(model, blocks, plan, seed=seed)
    out_dir.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out_dir)
    if takes_images:
        tiny_vision.save_processor(tokenizer, out_dir)
    else:
        tokenizer.save_pretrained(out_dir)
    return TinyReport(out_dir, model.num_parameters(), len(tokenizer), loss)


def _tiny_config(
    tokenizer: PreTrainedTokenizerFast, hidden_size: int, layers: int, heads: int, context_length: int
) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
