"""A model's tokenizer and chat template, as a GGUF file carries them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
from transformers import AutoTokenizer

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_SPLITS = {
    _WORDS + r"\p{N}{1,3}" + _REST: "llama-bpe",
    _WORDS + r"\p{N}" + _REST: "qwen2",
    f"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*"
    + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "tekken",
}
"""llama.cpp's name for each way of cutting a text into words; a file with the wrong one would read texts otherwise."""


class TokenizerUnknown(ValueError):
    """A tokenizer that these files have no word for; the text says what is unusual."""


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    tokens: list[str]
    types: list[gguf.TokenType]


def add_tokens(writer: gguf.GGUFWriter, folder: Path, rows: int) -> None:
    """`rows` tokens, one for each row of weights; TokenizerUnknown when llama.cpp would read texts otherwise."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    if told["model"]["type"] != "BPE":
        raise TokenizerUnknown(f"its type is {told['model']['type']}, not BPE")
    words = _vocabulary(told, rows)
    if told["model"].get("byte_fallback"):
        _add_sentencepiece(writer, told, words)
    else:
        _add_byte_level(writer, told)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    _add_special(writer, tokenizer)


def _vocabulary(told: dict[str, Any], rows: int) -> _Vocabulary:
    texts = {number: text for text, number in told["model"]["vocab"].items()}
    added = {entry["id"]: entry for entry in told["added_tokens"]}
    texts |= {number: entry["content"] for number, entry in added.items()}
    if max(texts) >= rows:
        raise TokenizerUnknown(f"it has {max(texts) + 1} tokens and the model weights for {rows}")
    unknown = told["model"].get("unk_token")
    has_bytes = bool(told["model"].get("byte_fallback"))
    return _Vocabulary(
        [texts.get(number, f"[PAD{number}]") for number in range(rows)],
        [_type(texts.get(number), added.get(number), unknown, has_bytes=has_bytes) for number in range(rows)],
    )


def _type(text: str | None, added: dict[str, Any] | None, unknown: str | None, *, has_bytes: bool) -> gguf.TokenType:
    if text is None:
        return gguf.TokenType.UNUSED
    if text == unknown:
        return gguf.TokenType.UNKNOWN
    if added is not None:
        return gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    is_byte = has_bytes and len(text) == 6 and text.startswith("<0x")
    return gguf.TokenType.BYTE if is_byte else gguf.TokenType.NORMAL


def _add_byte_level(writer: gguf.GGUFWriter, told: dict[str, Any]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_splitting(told.get("pre_tokenizer") or {}))
    writer.add_token_merges([" ".join(_pair(merge)) for merge in told["model"]["merges"]])


def _splitting(told: dict[str, Any]) -> str:
    steps = list(_steps(told))
    if not any(step["type"] == "ByteLevel" for step in steps):
        raise TokenizerUnknown("it does not work on bytes")
    splits = [step["pattern"].get("Regex", "") for step in steps if step["type"] == "Split"]
    if splits:
        name = _SPLITS.get(splits[0]) if len(splits) == 1 else None
        if name is None:
            raise TokenizerUnknown("llama.cpp cuts texts into words in none of its ways as this one does")
        return name
    cuts_digits = any(step["type"] == "Digits" and step["individual_digits"] for step in steps)
    return "smollm" if cuts_digits else "gpt-2"


def _steps(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if told.get("type") == "Sequence":
        for step in told["pretokenizers"]:
            yield from _steps(step)
    elif told:
        yield told


def _pair(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge


def _add_sentencepiece(writer: gguf.GGUFWriter, told: dict[str, Any], words: _Vocabulary) -> None:
    """Pieces with scores: the earlier a merge was learnt, the sooner it is made."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(told["model"]["merges"]):
        ranks.setdefault("".join(_pair(merge)), rank)
    last = float(len(ranks))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_scores([-float(ranks.get(text, last)) for text in words.tokens])
    writer.add_add_space_prefix(_begins_with_a_space(told))


def _begins_with_a_space(told: dict[str, Any]) -> bool:
    parts = json.dumps([told.get("normalizer"), told.get("pre_tokenizer")])
    return '"type": "Prepend"' in parts or '"prepend_scheme": "always"' in parts or '"prepend_scheme": "first"' in parts


def _add_special(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
    """The tokens with a meaning; whether texts begin or end with one is seen from a text, not from a setting."""
    seen = tokenizer("a").input_ids
    adders = {
        "bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id, "pad": writer.add_pad_token_id,
        "unk": writer.add_unk_token_id,
    }  # fmt: skip
    for kind, add in adders.items():
        number = getattr(tokenizer, f"{kind}_token_id")
        if number is not None:
            add(number)
    writer.add_add_bos_token(bool(seen) and seen[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(bool(seen) and seen[-1] == tokenizer.eos_token_id)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)
