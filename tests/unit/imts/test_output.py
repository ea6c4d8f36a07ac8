"""What is printed for people."""

import io
import sys

import pytest

from imts.cli.output import harmless

ANSWER = "a\tb\r\n\x1b]0;owned\x07\x9b2J 加法"


class Terminal(io.StringIO):
    """A stream that shows what it is told to."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_models_words_command_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert harmless(ANSWER) == "a\tb\r\n\ufffd]0;owned\ufffd\ufffd2J 加法"


def test_in_a_pipe_every_byte_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert harmless(ANSWER) == ANSWER
