"""The points of figures, steps ascending: what the newest attempt said of each step, later values over earlier ones."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, String, case, cast, func, literal, select, text
from sqlalchemy.orm import Session

from services.stream.log import tables
from services.stream.log.access import Access
from services.stream.log.keys import json_paths

_PAGE = 4_096
_LONGEST_NUMBER = 32
_SAID_NOTHING = "[]"
_LONGEST_PAGE = 16 * 1024 * 1024

Columns = list[list[Any]]
"""Steps, numbers in the log, attempts, then a list a figure: None for null, `[]` where the event does not have it."""
_STEP, _SEQ, _ATTEMPT, _FIGURES = 0, 1, 2, 3


def read_points(
    log: Access, topic: str, keys: Sequence[str], span: tuple[int, int]
) -> Iterator[tuple[list[int], list[list[Any]]]]:
    """Pages of the steps in `span`, with a list of values a key; each page is a transaction of its own."""
    low, high = span
    place = (low, 0)
    held: Columns = [[] for _ in range(_FIGURES + len(keys))]
    while True:
        found = log.read(partial(_page, topic=topic, keys=keys, place=place, high=high))
        page = [json.loads(f"[{column or ''}]") for column in found]
        is_last = len(page[_STEP]) < _PAGE
        steps = _one_a_step([before + now for before, now in zip(held, page, strict=True)])
        # The next page may have more of the newest step.
        cut = len(steps[_STEP]) if is_last else -1
        held = [column[cut:] for column in steps]
        if steps[_STEP][:cut]:
            yield steps[_STEP][:cut], [column[:cut] for column in steps[_FIGURES:]]
        if is_last:
            return
        place = max(zip(page[_STEP], page[_SEQ], strict=True))


def _one_a_step(columns: Columns) -> Columns:
    """The same without repeated steps, which are rare."""
    steps = columns[_STEP]
    if len(set(steps)) == len(steps) and steps == sorted(steps):
        return columns
    done: Columns = []
    for row in sorted(map(list, zip(*columns, strict=True))):
        known = done[-1] if done else None
        if known is None or known[_STEP] != row[_STEP]:
            done.append(row)
        elif row[_ATTEMPT] > known[_ATTEMPT]:
            done[-1] = row
        elif row[_ATTEMPT] == known[_ATTEMPT]:
            figures = zip(known[_FIGURES:], row[_FIGURES:], strict=True)
            done[-1] = row[:_FIGURES] + [old if new == [] else new for old, new in figures]
    return list(map(list, zip(*done, strict=True)))


def _page(session: Session, topic: str, keys: Sequence[str], place: tuple[int, int], high: int) -> Sequence[str | None]:
    """Up to `_PAGE` rows, a text a column: cut out and joined by the database, out of the interpreter's lock."""
    if session.get_bind().dialect.name == "mysql":
        session.execute(text(f"SET SESSION group_concat_max_len = {_LONGEST_PAGE}"))
    table = tables.events
    step, seq = place
    rows = (
        select(
            table.c.step, table.c.seq, func.coalesce(table.c.attempt, 0).label("attempt"),
            *(_value(session, key).label(f"value{number}") for number, key in enumerate(keys)),
        )
        .where(table.c.topic == topic, table.c.step >= step, table.c.step <= high)
        .where((table.c.step != step) | (table.c.seq > seq))
        .order_by(table.c.step, table.c.seq)
        .limit(_PAGE)
        .subquery()
    )  # fmt: skip
    values = [_short(rows.c[f"value{number}"]) for number in range(len(keys))]
    columns = [func.group_concat(column) for column in (rows.c.step, rows.c.seq, rows.c.attempt, *values)]
    return session.execute(select(*columns)).one()


def _value(session: Session, key: str) -> ColumnElement[str]:
    """The figure as its JSON text."""
    data = tables.events.c.data
    places: list[ColumnElement[str]]
    if session.get_bind().dialect.name == "mysql":
        places = [cast(func.json_extract(data, path), String) for path in json_paths(key)]
    else:
        places = [data.op("->", return_type=String())(path) for path in json_paths(key)]
    return places[0] if len(places) == 1 else func.coalesce(*places)


def _short(value: ColumnElement[str]) -> ColumnElement[str]:
    """What is longer than any number is none, and not worth carrying."""
    return case(
        (func.length(value) <= _LONGEST_NUMBER, value),
        (value.is_(None), literal(_SAID_NOTHING)),
        else_=literal("null"),
    )
