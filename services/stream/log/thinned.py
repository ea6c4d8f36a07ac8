"""History of a log of which only curves are left: the points that its buckets kept."""

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.stream.log import curve_rows, tables
from services.stream.log.buckets import Bucket, fold, unpack
from services.stream.log.entries import job_of
from services.stream.log.kept import Kept
from shared.contracts.base import JsonObject
from shared.contracts.events import METRICS_UPDATE, Event, EventPage


def points_of(bucket: Bucket) -> dict[int, float]:
    """What is known of a bucket's points: one to four of them, by step."""
    return {
        bucket.first_step: bucket.first, bucket.low_step: bucket.low, bucket.high_step: bucket.high,
        bucket.last_step: bucket.last,
    }  # fmt: skip


def cut(bucket: Bucket, low: int, high: int) -> list[Bucket]:
    """The bucket as far as it lies within the bounds."""
    if low <= bucket.first_step and bucket.last_step <= high:
        return [bucket]
    points = sorted((step, value) for step, value in points_of(bucket).items() if low <= step <= high)
    return fold([step for step, _ in points], [value for _, value in points], bucket.last_step + 1)


def read_steps(session: Session, topic: str, kept: Kept, after: int, until: int, limit: int) -> EventPage:
    """An event for each step of which a point was kept, above `after` and up to `until`."""
    assert kept.curve_width is not None
    found: dict[int, dict[str, float]] = {}
    for place in _places(session, topic, kept.curve_width, (after + 1, until)):
        for figure, buckets in place:
            for bucket in buckets:
                for step, value in points_of(bucket).items():
                    if after < step <= until:
                        found.setdefault(step, {})[figure] = value
        if len(found) > limit:
            break
    steps = sorted(found)
    data = [_event(topic, kept, step, found[step]) for step in steps[:limit]]
    return EventPage(data=data, has_more=len(steps) > limit)


def _places(
    session: Session, topic: str, width: int, span: tuple[int, int]
) -> Iterator[list[tuple[str, list[Bucket]]]]:
    """Row by row the buckets of all figures; a row's steps lie before the next one's."""
    table = tables.curves
    row_steps = width * curve_rows.ROW_BUCKETS
    low, high = span[0] // row_steps, span[1] // row_steps
    mine = [table.c.topic == topic, table.c.width == width, table.c.place <= high]
    while (place := session.scalar(select(func.min(table.c.place)).where(*mine, table.c.place >= low))) is not None:
        rows = session.execute(select(table.c.figure, table.c.data).where(*mine, table.c.place == place))
        yield [(row.figure, unpack(row.data)) for row in rows]
        low = place + 1


def _event(topic: str, kept: Kept, step: int, figures: dict[str, float]) -> Event:
    data: JsonObject = {"step": step}
    for figure, value in figures.items():
        *outer, name = figure.split(".")
        inside = data
        for key in outer:
            nested = inside.setdefault(key, {})
            inside = nested if isinstance(nested, dict) else data
        inside[name] = value
    assert kept.ended_at is not None
    return Event(
        seq=kept.compacted_through, event_type=METRICS_UPDATE, job_id=job_of(topic), timestamp=kept.ended_at, data=data
    )
