"""Looks through an attempt's output: lines with their levels, those that were asked for."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from shared.contracts.log_lines import LineQuery, LogLevel, LogLine
from shared.worker.output import hole_in

_LOOKED_THROUGH = 4 << 20
_LONGEST = 4096
_WORDS = {
    "DEBUG": LogLevel.DEBUG, "INFO": LogLevel.INFO, "WARNING": LogLevel.WARNING, "WARN": LogLevel.WARNING,
    "ERROR": LogLevel.ERROR, "CRITICAL": LogLevel.ERROR, "FATAL": LogLevel.ERROR,
}  # fmt: skip
_LEVEL = re.compile(r"^(?:\S{1,40} ){0,3}\W{0,2}(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\b")
_WARNING = re.compile(r"\b[A-Z]\w*Warning: ")
_FAULT = re.compile(r"^(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Fault|Interrupt)(?:: |$)")
_TRACEBACK = "Traceback (most recent call last)"


def level_of(text: str, before: LogLevel) -> LogLevel:
    """A line's level; one that is set in belongs to the line `before` it."""
    if text[:1] in {" ", "\t"}:
        return before
    if _TRACEBACK in text or _FAULT.match(text):
        return LogLevel.ERROR
    if match := _LEVEL.match(text):
        return _WORDS[match[1]]
    return LogLevel.WARNING if _WARNING.search(text) else LogLevel.INFO


def find_lines(log: Path, hole: Path, query: LineQuery, *, is_final: bool) -> tuple[list[LogLine], int, bool]:
    """The lines, where to go on, and whether the end was reached; unless `is_final` a line without its end waits."""
    found: list[LogLine] = []
    begin, end = hole_in(hole)
    wanted, level = query.search.casefold(), LogLevel.INFO
    if not log.exists():
        return found, query.offset, True
    with log.open("rb") as stream:
        offset = end if begin <= query.offset < end else query.offset
        stream.seek(offset)
        for raw in _lines(stream, offset, begin, end, is_final=is_final):
            place, offset = offset, offset + len(raw)
            if begin <= offset < end:
                offset = end
            text = raw.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]
            level = level_of(text, level)
            if query.level.covers(level) and wanted in text.casefold():
                found.append(LogLine(offset=place, level=level, text=text[:_LONGEST]))
                if len(found) == query.limit:
                    return found, offset, False
            if offset - query.offset >= _LOOKED_THROUGH:
                return found, offset, False
    return found, offset, True


def _lines(stream: IO[bytes], offset: int, begin: int, end: int, *, is_final: bool) -> Iterator[bytes]:
    """Whole lines from `offset` on, over the hole; the line that the hole cuts ends where it begins."""
    while True:
        room = begin - offset if offset < begin else _LOOKED_THROUGH
        raw = stream.readline(room)
        if not raw or not (raw.endswith(b"\n") or len(raw) == room or is_final):
            return
        yield raw
        offset += len(raw)
        if begin <= offset < end:
            offset = end
            stream.seek(end)
