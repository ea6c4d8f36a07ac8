"""A job's figures over REST."""

from typing import Annotated

from fastapi import Depends, Query

from services.stream.dependencies import JobQuery, Limit, TheStream
from services.stream.log.buckets import Bucket
from services.stream.log.keys import parse_keys
from shared.contracts.curves import MAX_BUCKETS, Curve, Curves
from shared.contracts.events import MAX_SEQ, CurrentMetrics, EventPage, job_topic
from shared.kit.application import api_router
from shared.kit.errors import InvalidRequest

routes = api_router("/api/metrics", "metrics")


async def _keys(
    keys: Annotated[
        list[str] | None, Query(description="Names of figures, `a,b` or repeated; `advanced_metrics.gradient_norm`")
    ] = None,
) -> tuple[str, ...]:
    return parse_keys(keys or ())


Keys = Annotated[tuple[str, ...], Depends(_keys)]
AfterStep = Annotated[int, Query(ge=-1, le=MAX_SEQ, description="Only steps above this")]
Until = Annotated[int, Query(ge=0, le=MAX_SEQ, description="Only steps up to this")]
Buckets = Annotated[int, Query(ge=1, le=MAX_BUCKETS, description="Downsample to so many buckets of steps at most")]


@routes.get("/current")
def current(job_id: JobQuery, stream: TheStream, keys: Keys) -> CurrentMetrics:
    """The newest value of every figure; values of a newer attempt win over later ones of an older attempt."""
    return stream.reader.current(job_id, keys)


@routes.get("/history")
def history(
    job_id: JobQuery,
    stream: TheStream,
    keys: Keys,
    after: AfterStep = -1,
    until: Until = MAX_SEQ,
    limit: Limit = 100,
    buckets: Buckets | None = None,
) -> EventPage | Curves:
    """One event a step, steps ascending: where attempts repeated a step, what the newest said.

    With `buckets`: for each of `keys`, the first, lowest, highest and last value of each bucket of steps instead.
    """
    if buckets is None:
        return stream.reader.history(job_id, after, until, limit, keys)
    if not keys:
        raise InvalidRequest("keys must name the figures to draw, for example keys=train_loss", param="keys")
    drawing = stream.curves.draw(job_topic(job_id), keys, buckets, after, until)
    data = {key: _curve(found) for key, found in drawing.buckets.items()}
    return Curves(job_id=job_id, width=drawing.width, through=drawing.through, data=data)


def _curve(buckets: list[Bucket]) -> Curve:
    columns = zip(Bucket._fields, zip(*buckets, strict=True), strict=True)
    return Curve.model_validate({name: list(values) for name, values in columns})
