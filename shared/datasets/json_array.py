"""Streams the objects of one JSON array, holding one row and one chunk at a time."""

import codecs
import io
import json
from collections.abc import Iterator
from typing import Any

from shared.datasets.faults import RowFault, RowTooLarge, at_row, unreadable
from shared.datasets.limits import Limits
from shared.datasets.strict_json import DECODER, syntax_fault

_CHUNK = 256 * 1024
_SPACE = " \t\r\n"


class _Window:
    """The part of the file's text that is being looked at."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.at = 0
        self.is_last = False

    def more(self) -> None:
        """Drop what was read, double what is kept, so that a long row is scanned a bounded number of times."""
        self.text = self.text[self.at :]
        self.at = 0
        chunk = self._source.read(max(_CHUNK, len(self.text)))
        self.is_last = not chunk
        try:
            self.text += self._decoder.decode(chunk, final=self.is_last)
        except UnicodeDecodeError:
            raise RowFault("is not UTF-8 (this row or one soon after it); save the file as UTF-8") from None

    def peek(self) -> str:
        """The next character that is not space; empty at the end of the file."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in _SPACE:
                    return self.text[self.at]
                self.at += 1
            if self.is_last:
                return ""
            self.more()

    def take_object(self, limit: int) -> Any:
        """The object that starts here; more text is read until it is whole or larger than `limit`."""
        while True:
            try:
                value, self.at = DECODER.raw_decode(self.text, self.at)
            except RecursionError:
                raise RowFault("is nested too deeply") from None
            except json.JSONDecodeError as fault:
                if self.is_last or not self._may_be_cut(fault):
                    raise syntax_fault(json.JSONDecodeError(fault.msg, "", fault.pos - self.at)) from None
            except ValueError as fault:
                raise syntax_fault(fault) from None
            else:
                return value
            if len(self.text) - self.at > limit:
                raise RowTooLarge(f"is longer than {limit} bytes; split it")
            self.more()

    def _may_be_cut(self, fault: json.JSONDecodeError) -> bool:
        """Whether the text may only have ended too early: the fault is an open string, or stands at the very end."""
        return fault.msg.startswith("Unterminated string") or len(self.text) - fault.pos < 16


def read_json_array(source: io.BufferedIOBase, limits: Limits) -> Iterator[Any]:
    """The objects of the array in `source`."""
    window = _Window(source)
    number = 1
    try:
        if window.peek() != "[":
            raise unreadable("the file is not a JSON array of objects")
        window.at += 1
        is_open = window.peek() != "]"
        while is_open:
            if window.peek() != "{":
                raise RowFault("is not a JSON object, or a comma stands before it without a row")
            yield window.take_object(limits.row_bytes)
            is_open = _another_follows(window)
            number += 1
        window.at += 1
        if window.peek():
            raise unreadable("something follows the end of the JSON array; send one array only")
    except RowFault as fault:
        raise at_row(number, fault) from None


def _another_follows(window: _Window) -> bool:
    separator = window.peek()
    if separator == ",":
        window.at += 1
        return True
    if separator == "]":
        return False
    if not separator:
        raise RowFault("is the last one, but the array is not closed; the file was cut off")
    raise RowFault("is followed by neither ',' nor ']'")
