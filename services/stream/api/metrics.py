"""A job's figures over REST."""

from typing import Annotated

from fastapi import Query

from services.stream.dependencies import JobQuery, Limit, TheStream
from shared.contracts.events import MAX_SEQ, CurrentMetrics, EventPage
from shared.kit.application import api_router

routes = api_router("/api/metrics", "metrics")

AfterStep = Annotated[int, Query(ge=-1, le=MAX_SEQ, description="Only steps above this")]


@routes.get("/current")
def current(job_id: JobQuery, stream: TheStream) -> CurrentMetrics:
    """The newest value of every figure; values of a newer attempt win over later ones of an older attempt."""
    return stream.reader.current(job_id)


@routes.get("/history")
def history(job_id: JobQuery, stream: TheStream, after: AfterStep = -1, limit: Limit = 100) -> EventPage:
    """One event a step, steps ascending: where attempts repeated a step, what the newest said."""
    return stream.reader.history(job_id, after, limit)
