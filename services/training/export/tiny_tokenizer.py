"""Train the byte-level BPE tokenizer of a tiny model, with turns as LLaMA-Factory's `chatml` writes them."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
TEMPLATE = "chatml"
"""The LLaMA-Factory template that renders the same turns as CHAT_TEMPLATE."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SMALLEST_VOCABULARY = 3 + 256
"""Three special tokens and every byte, so that no text is ever unknown."""


def as_user_turn(text: str) -> str:
    return f"{TURN_START}user\n{text}{TURN_END}\n"


def train_tokenizer(
    texts: Sequence[str], *, vocab_size: int, context_length: int, marks: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """Learn merges from the texts; digits stay single tokens so that numbers share their pieces.

    `marks` are further special tokens.
    """
    if vocab_size < SMALLEST_VOCABULARY:
        raise ValueError(f"vocab_size must be at least {SMALLEST_VOCABULARY}, got {vocab_size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, TURN_START, TURN_END, *marks],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The role names occur in every conversation but in no text: without them each is spelt letter by letter.
    tokenizer.train_from_iterator([*texts, *["system\n", "user\n", "assistant\n"] * 100], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=PAD,
        eos_token=TURN_END,
        pad_token=PAD,
        extra_special_tokens=[TURN_START, *marks],
        chat_template=CHAT_TEMPLATE,
        model_max_length=context_length,
        clean_up_tokenization_spaces=False,
    )
