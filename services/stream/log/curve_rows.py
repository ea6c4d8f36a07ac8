"""The derived table of curves: a row holds some buckets of one figure, a mark how far a figure has been derived."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.stream.log import tables
from services.stream.log.buckets import Bucket, pack, unpack

ROW_BUCKETS = 64
"""Buckets in a row."""

Span = tuple[int, int]
"""The first step and the last."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a topic has come, and the steps it has figures of."""

    last_seq: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Derivation:
    """Figures of one topic on their way into the table."""

    topic: str
    keys: tuple[str, ...]
    base: int
    """Steps a bucket spans."""
    through: int
    """The mark this began at: whoever moves it meanwhile has won."""

    @property
    def row_steps(self) -> int:
        """Steps a row spans."""
        return self.base * ROW_BUCKETS


def read_extent(session: Session, topic: str) -> Extent | None:
    """None while no event has a step."""
    # Asked first: whatever it counts, the steps below include.
    last_seq = session.scalar(select(tables.topics.c.last_seq).where(tables.topics.c.topic == topic))
    steps = tables.events.c.step
    mine = tables.events.c.topic == topic
    # Two questions: one for both would read the whole index.
    first = session.scalar(select(func.min(steps)).where(mine, steps >= 0))
    last = session.scalar(select(func.max(steps)).where(mine, steps >= 0))
    if first is None or last is None or last_seq is None:
        return None
    return Extent(last_seq, first, last)


def read_marks(session: Session, topic: str, keys: Sequence[str], base: int) -> dict[str, int]:
    """How far each figure has been derived in buckets of `base` steps; 0 where it has not."""
    table = tables.curve_marks
    query = select(table.c.figure, table.c.through)
    query = query.where(table.c.topic == topic, table.c.figure.in_(keys), table.c.width == base)
    return dict.fromkeys(keys, 0) | {row.figure: row.through for row in session.execute(query)}


def read_buckets(session: Session, topic: str, base: int, key: str, span: Span) -> list[Bucket]:
    """The figure's buckets that begin in `span`."""
    table = tables.curves
    row_steps = base * ROW_BUCKETS
    first, last = span
    query = select(table.c.data).where(
        table.c.topic == topic, table.c.width == base, table.c.figure == key,
        table.c.place.between(first // row_steps, last // row_steps),
    )  # fmt: skip
    rows = session.scalars(query.order_by(table.c.place)).all()
    return [bucket for row in rows for bucket in unpack(row) if first <= bucket.first_step <= last]


def stale_spans(session: Session, task: Derivation, last_seq: int) -> list[Span]:
    """The rows' spans that events after the mark belong to, neighbours joined."""
    table = tables.events
    place = table.c.step // task.row_steps
    query = select(place).distinct().where(
        table.c.topic == task.topic, table.c.seq > task.through, table.c.seq <= last_seq, table.c.step.is_not(None)
    )  # fmt: skip
    spans: list[Span] = []
    for number in sorted(int(found) for found in session.scalars(query)):
        first, last = number * task.row_steps, (number + 1) * task.row_steps - 1
        if spans and spans[-1][1] == first - 1:
            first = spans.pop()[0]
        spans.append((first, last))
    return spans


def begin(session: Session, task: Derivation) -> None:
    """Have a mark at 0 for each figure that has none."""
    marks = insert(tables.curve_marks).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
    session.execute(
        marks, [{"topic": task.topic, "figure": key, "width": task.base, "through": 0} for key in task.keys]
    )


def _is_mine(session: Session, task: Derivation) -> bool:
    topics = tables.topics.c
    state = session.scalar(select(topics.state).where(topics.topic == task.topic))
    if state != tables.WHOLE:
        # What was read of it before may lack what retention has taken.
        return False
    table = tables.curve_marks
    query = select(table.c.figure).where(
        table.c.topic == task.topic, table.c.figure.in_(task.keys), table.c.width == task.base,
        table.c.through == task.through,
    )  # fmt: skip
    return len(session.execute(query.with_for_update()).all()) == len(task.keys)


def store(session: Session, task: Derivation, span: Span, made: Mapping[str, Iterable[Bucket]]) -> bool:
    """Write the rows of `span` anew; False when somebody else was faster."""
    if not _is_mine(session, task):
        return False
    table = tables.curves
    session.execute(
        delete(table).where(
            table.c.topic == task.topic, table.c.width == task.base, table.c.figure.in_(task.keys),
            table.c.place.between(span[0] // task.row_steps, span[1] // task.row_steps),
        )
    )  # fmt: skip
    _insert(session, task.topic, task.base, made)
    return True


def replace_place(session: Session, topic: str, width: int, place: int, made: Mapping[str, Iterable[Bucket]]) -> None:
    """Have these rows, and no others, at one place of the topic's curves."""
    table = tables.curves
    session.execute(delete(table).where(table.c.topic == topic, table.c.width == width, table.c.place == place))
    _insert(session, topic, width, made)


def _insert(session: Session, topic: str, width: int, made: Mapping[str, Iterable[Bucket]]) -> None:
    rows = [
        {"topic": topic, "width": width, "figure": key, "place": place, "data": pack(buckets)}
        for key, found in made.items()
        for place, buckets in _by_row(found, width * ROW_BUCKETS).items()
    ]
    if rows:
        session.execute(insert(tables.curves), rows)


def _by_row(buckets: Iterable[Bucket], row_steps: int) -> dict[int, list[Bucket]]:
    rows: dict[int, list[Bucket]] = {}
    for bucket in buckets:
        rows.setdefault(bucket.first_step // row_steps, []).append(bucket)
    return rows


def finish(session: Session, task: Derivation, last_seq: int) -> None:
    """The table has what the log held at `last_seq`, unless somebody else was faster."""
    table = tables.curve_marks
    session.execute(
        update(table)
        .where(
            table.c.topic == task.topic, table.c.figure.in_(task.keys), table.c.width == task.base,
            table.c.through == task.through,
        )
        .values(through=last_seq)
    )  # fmt: skip
