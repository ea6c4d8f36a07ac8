"""Renders the questions of a suite as training rendered its rows."""

from dataclasses import dataclass

from services.evaluator.suites import Question
from shared.generation.templates import ChatTemplate, Turn

_ROLES = {"user": "user", "assistant": "assistant", "tool": "observation"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question in token ids, and its reference answer with the ending that training taught."""

    question: list[int]
    answer: list[int]
    is_cut: bool
    """The question or the reference was longer than the model takes."""


class Prompter(ChatTemplate):
    """Renders questions with one template and one tokenizer."""

    def render(self, question: Question, cutoff: int, room: int) -> Prompt:
        """The question in at most `cutoff` tokens, its end kept; with the reference in at most `room`."""
        system, turns = _as_turns(question)
        asked, answer = self.encode(turns, system, question.tools or None)
        kept = asked[-cutoff:]
        fitting = answer[: max(room - len(kept), 1)]
        return Prompt(kept, fitting, len(kept) < len(asked) or len(fitting) < len(answer))

    def spoken(self, answer: str, reference: str) -> str:
        """The answer without the thought before it, unless the reference thinks aloud too."""
        return answer if self.thinks_in(reference) else self.without_thought(answer)


def _as_turns(question: Question) -> tuple[str | None, list[Turn]]:
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
