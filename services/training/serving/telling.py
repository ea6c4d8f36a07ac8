"""Turns an answer's tokens into text as they come: whole characters only, and nothing of a stop sequence."""

from collections.abc import Sequence
from typing import Any

_BROKEN = "\ufffd"
"""What a decoder writes for bytes that are no whole character yet."""


class Telling:
    """The text of one answer; `is_live` False decodes once, at its end."""

    def __init__(self, tokenizer: Any, stops: Sequence[str], *, is_live: bool) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._is_live = is_live or bool(stops)
        self._tokens: list[int] = []
        self._context = 0
        """Where decoding begins: a token may be written differently after another one."""
        self._read = 0
        self._text = ""
        self._told = 0
        self.is_stopped = False
        """A stop sequence came; the text ends before it."""

    def hear(self, token: int) -> None:
        """Take the next token in."""
        self._tokens.append(token)
        if self._is_live:
            self._read_on(at_end=False)

    def tell(self) -> str:
        """What is certain and was not told yet."""
        end = len(self._text) if self.is_stopped else len(self._text) - self._held_back()
        found = self._text[self._told : end]
        self._told = max(self._told, end)
        return found

    def tell_rest(self) -> str:
        """All that was not told yet: nothing follows."""
        if not self.is_stopped:
            self._read_on(at_end=True)
        found = self._text[self._told :]
        self._told = len(self._text)
        return found

    def _read_on(self, *, at_end: bool) -> None:
        known = self._decode(self._tokens[self._context : self._read])
        now = self._decode(self._tokens[self._context :])
        if len(now) <= len(known) or (now.endswith(_BROKEN) and not at_end):
            return
        checked = len(self._text)
        self._text += now[len(known) :]
        self._context, self._read = self._read, len(self._tokens)
        self._look_for_stop(checked)

    def _look_for_stop(self, checked: int) -> None:
        longest = max((len(stop) for stop in self._stops), default=0)
        begin = max(checked - longest, 0)
        places = [place for stop in self._stops if (place := self._text.find(stop, begin)) >= 0]
        if places:
            self._text = self._text[: min(places)]
            self.is_stopped = True

    def _held_back(self) -> int:
        """How many characters at the end may be the beginning of a stop sequence."""
        for length in range(max((len(stop) for stop in self._stops), default=1) - 1, 0, -1):
            if any(len(stop) > length and self._text.endswith(stop[:length]) for stop in self._stops):
                return length
        return 0

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))
