"""The door to LLaMA-Factory's chat templates: a question reads to the model exactly as it did in training."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from llamafactory.data.template import TEMPLATES, ReasoningTemplate

from services.evaluator.suites import Question
from shared.contracts.failures import Reason
from shared.worker.attempt import UserFault

_ROLES = {"user": "user", "assistant": "assistant", "tool": "observation"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question in token ids, and its reference answer with the ending that training taught."""

    question: list[int]
    answer: list[int]
    is_cut: bool
    """The question or the reference was longer than the model takes."""


class Prompter:
    """Renders questions with one template and one tokenizer."""

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

    def render(self, question: Question, cutoff: int, room: int) -> Prompt:
        """The question in at most `cutoff` tokens, its end kept; with the reference in at most `room`."""
        system, turns = _as_turns(question)
        *before, (asked, answer) = self._template.encode_multiturn(
            self._tokenizer, turns, system, question.tools or None
        )
        asked = [token for pair in before for turn in pair for token in turn] + asked
        if self._template.efficient_eos:
            answer = [*answer, self._tokenizer.eos_token_id]
        kept = asked[-cutoff:]
        fitting = answer[: max(room - len(kept), 1)]
        return Prompt(kept, fitting, len(kept) < len(asked) or len(fitting) < len(answer))

    def spoken(self, answer: str, reference: str) -> str:
        """The answer without the thought before it, unless the reference thinks aloud too."""
        if self._template.thought_words[0].strip() in reference:
            return answer
        return str(self._template.remove_thought(answer)).strip()


def _as_turns(question: Question) -> tuple[str | None, list[dict[str, str]]]:
    """The system message, and the other turns in LLaMA-Factory's words, the reference last."""
    turns = list(question.messages)
    system = str(turns.pop(0)["content"]) if turns[0]["role"] == "system" else None
    named = [
        {
            "role": "function" if turn.get("tool_call") else _ROLES[str(turn["role"])],
            "content": str(turn["content"]),
        }
        for turn in turns
    ]
    return system, [*named, {"role": "assistant", "content": question.reference}]
