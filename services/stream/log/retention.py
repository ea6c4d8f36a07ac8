"""Which logs a project's policy calls old, and the transactions that shorten them: short, and safe to run twice.

At every commit a log is whole from its `compacted` event on. Whoever shortens holds the topic's row, as appends do.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.orm import Session

from services.stream.log import tables
from services.stream.log.entries import dump
from services.stream.log.tables import DELETED, DELETING, GONE, THINNED, THINNING, WHOLE
from shared.contracts.events import COMPACTED
from shared.contracts.retention import RetentionPolicy
from shared.kit.preconditions import require_match

Action = Literal["thin", "delete"]
_SLICE = 1_000
_FIGURES_A_SLICE = 8
_DUE_FROM = {"thin": (WHOLE,), "delete": (WHOLE, THINNED)}


@dataclass(frozen=True, slots=True)
class Due:
    """A log to shorten."""

    topic: str
    action: Action


def read_policy(session: Session, project: str) -> RetentionPolicy:
    """The project's policy; who has none keeps everything."""
    table = tables.retention
    row = session.execute(select(table.c.action, table.c.after_days).where(table.c.project == project)).one_or_none()
    return RetentionPolicy() if row is None else _policy(row)


def _policy(row: Any) -> RetentionPolicy:
    return RetentionPolicy(action=row.action, after_days=row.after_days)


def tag_of(policy: RetentionPolicy) -> str:
    """The policy in a word: one that says the same is the same, whoever wrote it."""
    return f"{policy.action}-{policy.after_days}"


def write_policy(
    session: Session, project: str, policy: RetentionPolicy, now: datetime, if_match: str | None = None
) -> None:
    """Replace the project's policy; PreconditionFailed when it is not the one that the caller read."""
    table = tables.retention
    # Written down first, so that there is a row to hold against others.
    session.execute(
        tables.insert_missing(table), {"project": project, **RetentionPolicy().model_dump(), "updated_at": now}
    )
    mine = table.c.project == project
    held = session.execute(select(table.c.action, table.c.after_days).where(mine).with_for_update()).one()
    require_match(if_match, tag_of(_policy(held)), f"the retention policy of {project}")
    session.execute(update(table).where(mine).values(**policy.model_dump(), updated_at=now))


def find_due(session: Session, now: datetime, limit: int) -> list[Due]:
    """Logs half done first, then those that have been over for long enough, the oldest first."""
    table = tables.topics
    begun = session.execute(
        select(table.c.topic, table.c.state).where(table.c.state.in_((THINNING, DELETING))).limit(limit)
    )
    found = [Due(row.topic, "thin" if row.state == THINNING else "delete") for row in begun]
    for policy in session.execute(select(tables.retention).where(tables.retention.c.action != "keep")):
        query = select(table.c.topic).where(
            table.c.state.in_(_DUE_FROM[policy.action]), table.c.project == policy.project,
            table.c.ended_at <= now - timedelta(days=policy.after_days),
        )  # fmt: skip
        topics = session.scalars(query.order_by(table.c.ended_at).limit(limit)).all()
        found += [Due(topic, policy.action) for topic in topics]
    return found[:limit]


def lock_topic(session: Session, topic: str) -> Row[Any] | None:
    """The topic's row, which nobody else changes meanwhile."""
    table = tables.topics
    return session.execute(select(table).where(table.c.topic == topic).with_for_update()).one_or_none()


def _is_due(session: Session, row: Row[Any], due: Due, now: datetime) -> bool:
    """Whether the policy still says so, now that nobody can change the topic."""
    if row.ended_at is None or row.project is None or row.state not in _DUE_FROM[due.action]:
        return False
    policy = read_policy(session, row.project)
    return policy.action == due.action and row.ended_at <= now - timedelta(days=policy.after_days)


def delete_slice(session: Session, due: Due, now: datetime) -> bool:
    """Take a little of the log away; whether there is more. From the first time on it takes no event and shows none."""
    row = lock_topic(session, due.topic)
    if row is None or row.state == DELETED:
        return False
    if row.state != DELETING:
        if not _is_due(session, row, due, now):
            return False
        _begin_deletion(session, row)
        return True
    if _delete_events(session, due.topic, row.last_seq) or _delete_curves(session, due.topic, None):
        return True
    _set(session, due.topic, state=DELETED)
    return False


def delete_whole(session: Session, topic: str, now: datetime) -> None:
    """Delete the log of a job that was deleted, whatever the policy says; one that never was takes no event either."""
    fresh = {"topic": topic, "last_seq": 0, "is_ended": True, "state": DELETED, "updated_at": now}
    session.execute(tables.insert_missing(tables.topics), fresh)
    row = lock_topic(session, topic)
    if row is not None and row.state not in GONE:
        _begin_deletion(session, row)


def _begin_deletion(session: Session, row: Row[Any]) -> None:
    """From here on the log takes no event and shows none; the sweep takes its rows away."""
    _set(session, row.topic, state=DELETING, is_ended=True, figures=None, compacted_through=row.last_seq)
    session.execute(delete(tables.producers).where(tables.producers.c.topic == row.topic))


def _set(session: Session, topic: str, **values: Any) -> None:
    session.execute(update(tables.topics).where(tables.topics.c.topic == topic).values(**values))


def _delete_events(session: Session, topic: str, through: int) -> bool:
    """Delete the oldest events up to `through`; whether there were any."""
    table = tables.events
    oldest = session.scalar(select(func.min(table.c.seq)).where(table.c.topic == topic))
    if oldest is None or oldest > through:
        return False
    session.execute(delete(table).where(table.c.topic == topic, table.c.seq <= min(through, oldest + _SLICE - 1)))
    return True


def _delete_curves(session: Session, topic: str, keep_width: int | None) -> bool:
    """Delete some figures' curves and marks, but those of `keep_width`; whether there were any."""
    # Marks first: whoever derives a curve meanwhile then stops.
    for table in (tables.curve_marks, tables.curves):
        mine = [table.c.topic == topic, *([] if keep_width is None else [table.c.width != keep_width])]
        figures = session.scalars(select(table.c.figure).distinct().where(*mine).limit(_FIGURES_A_SLICE)).all()
        if figures:
            session.execute(delete(table).where(*mine, table.c.figure.in_(figures)))
            return True
    return False


def may_thin(session: Session, due: Due, now: datetime) -> bool:
    """Whether the log is still whole and due; its row stays locked."""
    row = lock_topic(session, due.topic)
    return row is not None and row.state == WHOLE and _is_due(session, row, due, now)


def compact_slice(session: Session, due: Due, width: int, now: datetime) -> bool:
    """Replace a little of the log's beginning by `compacted`; whether there is more.

    Its curves are there, `width` steps a bucket. The last event stays, so that whoever resumes hears how it ended.
    """
    row = lock_topic(session, due.topic)
    if row is None or row.state not in (WHOLE, THINNING):
        return False
    if row.state == WHOLE and not _is_due(session, row, due, now):
        return False
    last = row.last_seq - 1
    if row.compacted_through < last:
        through = min(row.compacted_through + _SLICE, last)
        _compact(session, due.topic, through, now)
        width = row.curve_width or width
        _set(session, due.topic, state=THINNING, curve_width=width, compacted_through=through)
        return True
    if row.curve_width is not None and _delete_curves(session, due.topic, row.curve_width):
        return True
    _set(session, due.topic, state=THINNED)
    return False


def _compact(session: Session, topic: str, through: int, now: datetime) -> None:
    table = tables.events
    session.execute(delete(table).where(table.c.topic == topic, table.c.seq < through))
    session.execute(
        update(table)
        .where(table.c.topic == topic, table.c.seq == through)
        .values(
            event_type=COMPACTED, attempt=None, step=None, timestamp=now, producer="stream", producer_seq=through,
            data=dump({"through": through}),
        )
    )  # fmt: skip
