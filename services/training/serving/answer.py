"""One call in the engine: its prompt, its rules, and what to say of it after each token."""

import random
from typing import Literal

from services.training.serving.shelf import Served
from services.training.serving.telling import Telling
from shared.contracts.serving import Fault, Saying, ServingCall, Usage
from shared.generation.decoding import Row
from shared.generation.sampling import Rules
from shared.generation.templates import Turn


class Refused(Exception):
    """The call cannot be answered as it is."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Answer:
    """An answer in the making."""

    def __init__(self, number: int, call: ServingCall, served: Served, most_tokens: int) -> None:
        request = call.request
        prompt = served.prompt(*_turns(call))
        room = served.positions - len(prompt)
        if room < 1:
            raise Refused(Fault(
                kind="request", code="context_length_exceeded", param="messages",
                message=f"messages: these are {len(prompt)} tokens, and {served.name} takes {served.positions} with "
                "its answer; send less",
            ))  # fmt: skip
        self.number = number
        self._stop_ids = served.stop_ids
        self._most = min(request.most_tokens or most_tokens, most_tokens, room)
        seed = random.SystemRandom().getrandbits(63) if request.seed is None else request.seed
        temperature = 1.0 if request.temperature is None else request.temperature
        # Not for secrets: the same seed is to give the same answer.
        rules = Rules(temperature, request.top_p or 1.0, random.Random(seed))  # noqa: S311
        self.row = Row(prompt, rules)
        self._is_streamed = bool(request.stream)
        self._telling = Telling(served.tokenizer, request.stops, is_live=self._is_streamed)

    @property
    def length(self) -> int:
        """Tokens that it takes at most, the prompt included."""
        return len(self.row.prompt) + self._most

    def hear(self) -> Saying | None:
        """What the newest token gives to say: None when nothing."""
        if self.row.tokens[-1] in self._stop_ids:
            return self._last("stop", len(self.row.tokens) - 1)
        self._telling.hear(self.row.tokens[-1])
        if self._telling.is_stopped:
            return self._last("stop", len(self.row.tokens))
        if len(self.row.tokens) >= self._most:
            return self._last("length", len(self.row.tokens))
        if not self._is_streamed or not (text := self._telling.tell()):
            return None
        return Saying(number=self.number, text=text)

    def _last(self, reason: Literal["stop", "length"], tokens: int) -> Saying:
        asked = len(self.row.prompt)
        usage = Usage(prompt_tokens=asked, completion_tokens=tokens, total_tokens=asked + tokens)
        text = self._telling.tell_rest()
        # The last bytes may have completed a stop sequence.
        return Saying(
            number=self.number, text=text, finish_reason="stop" if self._telling.is_stopped else reason, usage=usage
        )


def _turns(call: ServingCall) -> tuple[list[Turn], str | None]:
    messages = list(call.request.messages)
    system = None if messages[0].role in {"user", "assistant"} else messages.pop(0).text
    return [{"role": message.role, "content": message.text} for message in messages], system
