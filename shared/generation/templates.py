"""The door to LLaMA-Factory's chat templates: a conversation reads to the model exactly as it did in training."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from llamafactory.data.template import TEMPLATES, ReasoningTemplate

from shared.contracts.failures import Reason
from shared.worker.attempt import UserFault

Turn = dict[str, str]
"""`role` and `content` in LLaMA-Factory's words: user, assistant, observation, function."""


class ChatTemplate:
    """One template with one tokenizer, which it may teach special tokens."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        if name not in TEMPLATES:
            raise UserFault(
                Reason.UNKNOWN_TEMPLATE, f"modelName: its template {name} is not one that LLaMA-Factory knows"
            )
        self._template = deepcopy(TEMPLATES[name])
        if isinstance(self._template, ReasoningTemplate):
            self._template.enable_thinking = True
        self._template.fix_special_tokens(tokenizer)
        self._tokenizer = tokenizer

    @property
    def stop_ids(self) -> list[int]:
        """Tokens that end an answer."""
        return sorted(token for token in self._template.get_stop_token_ids(self._tokenizer) if token is not None)

    def encode(self, turns: Sequence[Turn], system: str | None, tools: str | None) -> tuple[list[int], list[int]]:
        """Token ids of all turns but the last, which is the assistant's, and of that one with its ending."""
        *before, (asked, answer) = self._template.encode_multiturn(self._tokenizer, list(turns), system, tools)
        asked = [token for pair in before for turn in pair for token in turn] + asked
        if self._template.efficient_eos:
            answer = [*answer, self._tokenizer.eos_token_id]
        return asked, answer

    def thinks_in(self, text: str) -> bool:
        """Whether the text has a thought in it."""
        return self._template.thought_words[0].strip() in text

    def without_thought(self, text: str) -> str:
        """The answer alone."""
        return str(self._template.remove_thought(text)).strip()
