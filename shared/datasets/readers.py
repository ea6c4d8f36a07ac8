"""Streams the rows of a file, whatever holds them, in memory that does not grow with the file."""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any

from shared.datasets.containers import Container
from shared.datasets.faults import RowFault, RowTooLarge, at_row, unreadable
from shared.datasets.json_array import read_json_array
from shared.datasets.limits import Limits
from shared.datasets.parquet import read_parquet
from shared.datasets.strict_json import decode

NOT_UTF8 = "is not UTF-8; save the file as UTF-8"


def read_raw_rows(source: io.BufferedIOBase, container: Container, limits: Limits) -> Iterator[Any]:
    """The rows as they stand in the file, in order; a fault names its row."""
    if container is Container.JSON:
        return read_json_array(source, limits)
    if container is Container.JSONL:
        return _read_json_lines(source, limits)
    if container is Container.CSV:
        return _read_csv(source, limits)
    if container is Container.PARQUET:
        return read_parquet(source, limits)
    return _read_text_lines(source, limits)


def _lines(source: io.BufferedIOBase, limits: Limits) -> Iterator[str]:
    """Lines with their ends, each within the row limit, the byte order mark dropped."""
    number = 0
    while line := source.readline(limits.row_bytes + 1):
        number += 1
        if len(line) > limits.row_bytes:
            raise RowTooLarge(f"is longer than {limits.row_bytes} bytes; split it or check the line ends")
        try:
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError:
            raise RowFault(NOT_UTF8) from None


def _read_json_lines(source: io.BufferedIOBase, limits: Limits) -> Iterator[Any]:
    number = 1
    try:
        for line in _lines(source, limits):
            if line.strip():
                yield decode(line.strip())
                number += 1
    except RowFault as fault:
        raise at_row(number, fault) from None


def _read_text_lines(source: io.BufferedIOBase, limits: Limits) -> Iterator[Any]:
    number = 1
    try:
        for line in _lines(source, limits):
            if text := line.strip():
                yield {"text": text}
                number += 1
    except RowFault as fault:
        raise at_row(number, fault) from None


class _RowOfLines:
    """Feeds lines to the CSV reader and counts what the row at hand has taken, quoted line ends included."""

    def __init__(self, lines: Iterator[str], limit: int) -> None:
        self._lines = lines
        self._limit = limit
        self._taken = 0

    def __iter__(self) -> "_RowOfLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken += len(line)
        if self._taken > self._limit:
            raise RowTooLarge(f"is longer than {self._limit} bytes; a closing quote may be missing")
        return line

    def next_row(self) -> None:
        self._taken = 0


def _read_csv(source: io.BufferedIOBase, limits: Limits) -> Iterator[Any]:
    lines = _RowOfLines(_lines(source, limits), limits.row_bytes)
    csv.field_size_limit(limits.row_bytes)
    number = 0
    try:
        first = next(lines)
        delimiter = max(",;\t", key=first.count)
        header = _header(next(csv.reader([first], delimiter=delimiter, strict=True), []))
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            lines.next_row()
            if not cells:
                continue
            number += 1
            if len(cells) != len(header):
                raise RowFault(f"has {len(cells)} columns where the header has {len(header)}; quote cells with commas")
            yield dict(zip(header, cells, strict=True))
    except RowFault as fault:
        raise at_row(number or 1, fault) from None
    except csv.Error:
        raise at_row(number + 1, RowFault("is broken CSV; check its quotes")) from None


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if not all(names):
        raise unreadable("the CSV header has an empty column name; name every column")
    if len(set(names)) != len(names):
        raise unreadable("the CSV header names a column twice; give each column its own name")
    return names
