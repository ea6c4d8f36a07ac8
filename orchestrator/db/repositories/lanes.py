"""Lanes in SQL: every look goes from lane to lane and reads no more of each than its head."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, and_, delete, exists, insert, select
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.lanes import LaneRow
from shared.contracts.jobs import Phase

_JOBS = table_of(JobRow).c
_LANES = table_of(LaneRow)


def in_line(service: str) -> Any:
    """Whether a row stands in line for a worker of the service."""
    return and_(_JOBS.phase == Phase.QUEUED, _JOBS.worker == service, _JOBS.lane.is_not(None))


def in_lane(service: Any, lane: Any) -> Any:
    """Whether a row stands in this lane."""
    return and_(_JOBS.phase == Phase.QUEUED, _JOBS.worker == service, _JOBS.lane == lane)


def first_of_lane(columns: Sequence[Any], service: str, lane: str, is_free: Any, depth: int) -> Select[Any]:
    """The first `depth` of a lane that nobody holds."""
    query = select(*columns).where(in_lane(service, lane), is_free)
    return query.order_by(_JOBS.turn, _JOBS.job_id).limit(depth)


def lanes_by_turn(service: str, limit: int) -> Select[Any]:
    """The lanes that hold a job, those with the earliest turn first."""
    # Not MIN(turn): MariaDB would read the whole lane for it. By all that the index begins with, or MySQL would sort:
    # it does not see that columns of an outer row stand still.
    by_index = (_JOBS.phase, _JOBS.worker, _JOBS.lane, _JOBS.turn)
    first = select(_JOBS.turn).where(in_lane(_LANES.c.service, _LANES.c.lane)).order_by(*by_index).limit(1)
    earliest = first.correlate(_LANES).scalar_subquery().label("earliest")
    lanes = select(_LANES.c.lane, earliest).where(_LANES.c.service == service).subquery()
    return select(lanes.c.lane).where(lanes.c.earliest.is_not(None)).order_by(lanes.c.earliest).limit(limit)


def register(session: Session, lanes: Iterable[tuple[str, str | None]]) -> None:
    """Name these lanes of services, in one order so that replicas do not deadlock; each is held until the commit."""
    found = {(service, lane) for service, lane in lanes if lane is not None}
    if found:
        unless_there = insert(_LANES).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
        session.execute(unless_there.values([{"service": one[0], "lane": one[1]} for one in sorted(found)]))


def tidy(session: Session) -> None:
    """Name what older versions put in line, and forget the lanes that nobody stands in or enters now."""
    columns = (_JOBS.worker, _JOBS.lane)
    in_use = session.execute(
        select(*columns).where(_JOBS.phase == Phase.QUEUED, _JOBS.lane.is_not(None)).group_by(*columns)
    ).all()
    rows = session.execute(select(_LANES.c.service, _LANES.c.lane))
    named: set[tuple[str, str]] = {(row.service, row.lane) for row in rows}
    register(session, {(row.worker, row.lane) for row in in_use} - named)
    for service, lane in sorted(named - {(row.worker, row.lane) for row in in_use}):
        _forget(session, service, lane)


def _forget(session: Session, service: str, lane: str) -> None:
    is_it = and_(_LANES.c.service == service, _LANES.c.lane == lane)
    held = session.execute(select(_LANES.c.lane).where(is_it).with_for_update(skip_locked=True)).first()
    # Asked once more under the lock: somebody may have stood in the lane since it was found empty.
    if held is not None and not session.scalar(select(exists().where(in_lane(service, lane)))):
        session.execute(delete(_LANES).where(is_it))
