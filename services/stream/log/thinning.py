"""Shortening one log, a little at a time: deleted slice by slice, or thinned to the curves of all its figures."""

import json
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from services.stream.log import curve_rows, tables
from services.stream.log.access import Access
from services.stream.log.buckets import Bucket, fold
from services.stream.log.curves import width_for
from services.stream.log.kept import read_kept
from services.stream.log.keys import numbers
from services.stream.log.retention import Due, compact_slice, delete_slice, may_thin

_PAGE = 500
_MOST_BUCKETS = 4_096
_MAX_FIGURES = 512

Step = tuple[int, dict[str, int | float]]


def shorten(log: Access, due: Due, now: datetime) -> Iterator[None]:
    """Do what the policy says, with a pause at each `yield`; stops early where that has changed meanwhile."""
    if due.action == "delete":
        work = partial(delete_slice, due=due, now=now)
    else:
        width = yield from _derive(log, due, now)
        if width is None:
            return
        work = partial(compact_slice, due=due, width=width, now=now)
    while log.write(work):
        yield


def _derive(log: Access, due: Due, now: datetime) -> Generator[None, None, int | None]:
    """Make the curves of every figure; their width, or None when the log is no longer whole."""
    kept = log.read(partial(read_kept, topic=due.topic))
    if kept.curve_width is not None:
        return kept.curve_width
    extent = log.read(partial(curve_rows.read_extent, topic=due.topic))
    if extent is None:
        return 1
    width = width_for(extent, 1, _MOST_BUCKETS)
    row_steps = width * curve_rows.ROW_BUCKETS
    made = _Made(width)
    for page in _pages(log, due.topic):
        for place, steps in groupby(page, key=lambda step: step[0] // row_steps):
            if made.place != place:
                if not log.write(partial(_store, due=due, made=made, now=now)):
                    return None
                made = _Made(width, place, made.figures)
            made.take(steps)
        yield
    return width if log.write(partial(_store, due=due, made=made, now=now)) else None


class _Made:
    """A row's worth of buckets of every figure."""

    def __init__(self, width: int, place: int | None = None, figures: set[str] | None = None) -> None:
        self.width = width
        self.place = place
        self.figures: set[str] = figures or set()
        self.buckets: dict[str, list[Bucket]] = {}

    def take(self, steps: Iterable[Step]) -> None:
        """Fold some steps, which follow those before."""
        columns: dict[str, tuple[list[int], list[int | float]]] = {}
        for step, figures in steps:
            for name, value in figures.items():
                at, values = columns.setdefault(name, ([], []))
                at.append(step)
                values.append(value)
        for name, (at, values) in columns.items():
            if name in self.figures or len(self.figures) < _MAX_FIGURES:
                self.figures.add(name)
                self.buckets.setdefault(name, []).extend(fold(at, values, self.width))


def _store(session: Session, due: Due, made: _Made, now: datetime) -> bool:
    if not may_thin(session, due, now):
        return False
    if made.place is not None:
        curve_rows.replace_place(session, due.topic, made.width, made.place, made.buckets)
    return True


def _pages(log: Access, topic: str) -> Iterator[list[Step]]:
    """Complete steps, ascending: what the newest attempt said of each, later values over earlier ones."""
    place = (-1, 0)
    known: tuple[int, int, dict[str, Any]] | None = None
    while rows := log.read(partial(_rows, topic=topic, place=place)):
        page: list[Step] = []
        for row in rows:
            attempt, data = row.attempt or 0, json.loads(row.data)
            if known is not None and known[0] == row.step:
                if attempt == known[1]:
                    known = (row.step, attempt, known[2] | data)
                elif attempt > known[1]:
                    known = (row.step, attempt, data)
                continue
            if known is not None:
                page.append((known[0], _figures(known[2])))
            known = (row.step, attempt, data)
        place = (rows[-1].step, rows[-1].seq)
        yield page
    if known is not None:
        yield [(known[0], _figures(known[2]))]


def _figures(data: dict[str, Any]) -> dict[str, int | float]:
    return {name: value for name, value in numbers(data).items() if name != "step"}


def _rows(session: Session, topic: str, place: tuple[int, int]) -> list[Row[Any]]:
    table = tables.events
    step, seq = place
    query = (
        select(table.c.step, table.c.seq, table.c.attempt, table.c.data)
        .where(table.c.topic == topic, table.c.step >= step)
        .where((table.c.step != step) | (table.c.seq > seq))
        .order_by(table.c.step, table.c.seq)
        .limit(_PAGE)
    )
    return list(session.execute(query))
