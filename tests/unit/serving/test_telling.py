"""Tokens become text that is told early, whole characters only, and never a piece of a stop sequence."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.training.serving.telling import Telling


class Bytes:
    """A tokenizer whose tokens are the bytes of UTF-8."""

    def decode(self, tokens: list[int], **_: object) -> str:
        return bytes(tokens).decode(errors="replace")


def _told(text: str, stops: list[str]) -> tuple[list[str], bool]:
    """What is told after each token, the rest last; and whether a stop sequence came."""
    telling = Telling(Bytes(), stops, is_live=True)
    pieces = []
    for token in text.encode():
        telling.hear(token)
        if telling.is_stopped:
            break
        pieces.append(telling.tell())
    return [*pieces, telling.tell_rest()], telling.is_stopped


def test_a_character_of_several_tokens_is_told_when_it_is_whole() -> None:
    assert _told("天a", []) == (["", "", "天", "a", ""], False)


def test_what_may_begin_a_stop_sequence_waits() -> None:
    assert _told("one END", ["END"]) == (["o", "n", "e", " ", "", "", ""], True)
    assert _told("EN route", ["END"])[0] == ["", "", "EN ", "r", "o", "u", "t", "e", ""]


def test_the_first_of_several_stop_sequences_ends_the_text() -> None:
    pieces, is_stopped = _told("count: 1, 2, 3", [", 3", ", "])
    assert ("".join(pieces), is_stopped) == ("count: 1", True)


def test_bytes_that_never_become_a_character_are_told_at_the_end() -> None:
    telling = Telling(Bytes(), [], is_live=True)
    telling.hear("天".encode()[0])
    assert telling.tell() == ""
    assert telling.tell_rest() == "\ufffd"


def test_an_answer_that_nobody_follows_is_decoded_once() -> None:
    telling = Telling(Bytes(), [], is_live=False)
    for token in b"abc":
        telling.hear(token)
    assert telling.tell() == ""
    assert telling.tell_rest() == "abc"


@given(st.text("ab天 ", max_size=30), st.lists(st.text("ab天", min_size=1, max_size=4), max_size=3))
def test_pieces_are_the_text_up_to_the_stop_sequence_that_ends_first(text: str, stops: list[str]) -> None:
    """Whichever is complete first ends the answer; of those complete together, the one that began first."""
    ends = [next((end for end in range(len(text) + 1) if text[:end].endswith(stop)), None) for stop in stops]
    found = [(end, end - len(stop)) for end, stop in zip(ends, stops, strict=True) if end is not None]
    pieces, is_stopped = _told(text, stops)
    assert is_stopped is bool(found)
    assert "".join(pieces) == (text[: min(found)[1]] if found else text)
    for told in itertools.accumulate(pieces):
        assert text.startswith(told)


@pytest.mark.parametrize("stops", [["x"], ["xyz", "x"]])
def test_a_stop_sequence_at_the_very_beginning_leaves_nothing(stops: list[str]) -> None:
    assert _told("xyz", stops) == ([""], True)
