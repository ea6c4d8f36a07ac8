"""Make a tiny Qwen2-VL: eyes of random weights and a language model, so that training on images runs on a laptop."""

from pathlib import Path

from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from services.training.export.tiny_tokenizer import TURN_END, TURN_START

TEMPLATE = "qwen2_vl"
"""The LLaMA-Factory template that renders the same turns as CHAT_TEMPLATE."""
_SEEN_START, _SEEN_END = "<|vision_start|>", "<|vision_end|>"
_IMAGE, _VIDEO = "<|image_pad|>", "<|video_pad|>"
MARKS = (_SEEN_START, _SEEN_END, _IMAGE, _VIDEO)
"""Special tokens that a tokenizer for this model has beside those of turns."""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    f"{{{{ '{TURN_START}' + message['role'] + '\\n' }}}}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    f"{{% if part['type'] == 'image' %}}{_SEEN_START}{_IMAGE}{_SEEN_END}{{% else %}}{{{{ part['text'] }}}}{{% endif %}}"
    "{% endfor %}{% endif %}"
    f"{{{{ '{TURN_END}\\n' }}}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{{{{ '{TURN_START}assistant\\n' }}}}{{% endif %}}"
)
_PATCH = 14
_TOWER_LAYERS = 2
_TOWER_WIDTH = 64
_SPREAD = 0.05
"""Of the first weights: with the usual 0.02, so small a tower tells two colours from each other too faintly."""


def new_model(
    tokenizer: PreTrainedTokenizerFast, hidden_size: int, layers: int, heads: int, context_length: int
) -> Qwen2VLForConditionalGeneration:
    """Random weights, drawn from torch's own generator."""
    half = hidden_size // heads // 2
    across = 3 * half // 8
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "intermediate_size": hidden_size * 3,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": context_length,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [half - 2 * across, across, across],
        },
    }  # fmt: skip
    tower = {
        "depth": _TOWER_LAYERS, "embed_dim": _TOWER_WIDTH, "num_heads": 2, "hidden_size": hidden_size, "mlp_ratio": 2,
        "patch_size": _PATCH, "initializer_range": _SPREAD,
    }  # fmt: skip
    seen_start, seen_end, image, video = tokenizer.convert_tokens_to_ids(list(MARKS))
    return Qwen2VLForConditionalGeneration(
        Qwen2VLConfig(
            text_config=text, vision_config=tower, image_token_id=image, video_token_id=video,
            vision_start_token_id=seen_start, vision_end_token_id=seen_end, tie_word_embeddings=False,
        )
    )  # fmt: skip


def save_processor(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the tokenizer, and what turns images into the numbers that the tower reads."""
    tokenizer.chat_template = CHAT_TEMPLATE
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=_PATCH),
        video_processor=Qwen2VLVideoProcessor(patch_size=_PATCH),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(folder)
