"""What retention left of a topic, as whoever reads it must know."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.stream.log import tables
from shared.kit.errors import NotFound


@dataclass(frozen=True, slots=True)
class Kept:
    """A log as it is now; one that nobody has written to is whole."""

    last_seq: int = 0
    compacted_through: int = 0
    curve_width: int | None = None
    """Steps a bucket spans, where only curves are left of the figures."""
    ended_at: datetime | None = None


def read_kept(session: Session, topic: str) -> Kept:
    """NotFound where the log was deleted, also while some of it still lies there."""
    table = tables.topics
    row = session.execute(
        select(table.c.state, table.c.last_seq, table.c.compacted_through, table.c.curve_width, table.c.ended_at)
        .where(table.c.topic == topic)
    ).one_or_none()  # fmt: skip
    if row is None:
        return Kept()
    if row.state in tables.GONE:
        why = "with its job or under its project's retention policy"
        raise NotFound(f"the log of {topic} was deleted, {why}", code="topic_deleted")
    return Kept(row.last_seq, row.compacted_through, row.curve_width, row.ended_at)
