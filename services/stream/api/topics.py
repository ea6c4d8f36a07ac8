"""The log over REST: append, seal, marks, pages."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.stream.dependencies import AfterSeq, Limit, ProducerPath, TheStream, TopicPath
from services.stream.intake import JSON, LINES, Numbering
from services.stream.log.meters import counting_refusals
from services.stream.log.numbering import Seal
from services.stream.log.retention import delete_whole
from shared.contracts.events import (
    MAX_SEQ,
    AppendRequest,
    EventPage,
    NewEvent,
    Producer,
    ProducerMark,
    SealRequest,
)
from shared.contracts.work import Removed
from shared.kit.application import Caller, api_router
from shared.kit.auth import require_service

routes = api_router("/v1/topics/{topic}", "log")

OfLines = Query(description="For a body of lines; a JSON body says it itself")


def _bodies() -> dict[str, Any]:
    """What `append` reads, for the documents: it takes the body before FastAPI would."""
    event, run = NewEvent.model_json_schema(), AppendRequest.model_json_schema()
    del event["$defs"], run["$defs"]
    event["properties"]["data"] = {"title": "Data", "type": "object"}
    run["properties"]["events"]["items"] = event
    return {JSON: {"schema": run}, LINES: {"schema": event}}


@routes.post("/events", openapi_extra={"requestBody": {"required": True, "content": _bodies()}})
async def append(
    topic: TopicPath,
    request: Request,
    caller: Caller,
    stream: TheStream,
    producer: Annotated[Producer | None, OfLines] = None,
    first_seq: Annotated[int | None, OfLines, Field(ge=1, le=MAX_SEQ)] = None,
) -> ProducerMark:
    """Append a run of one producer's events; what the log has already is dropped, a hole is refused with 409."""
    with counting_refusals():
        run = await stream.intake.read(request, Numbering(producer, first_seq), caller, topic)
        return await stream.committer.submit(run)


@routes.get("/events", response_model=EventPage)
def read(topic: TopicPath, stream: TheStream, after: AfterSeq = 0, limit: Limit = 100) -> Response:
    """A page of the log, oldest first; large events make a page shorter than `limit`."""
    records, has_more = stream.reader.page(topic, after, limit)
    # Joined as stored: parsing a thousand events only to print them again would cost more than the query.
    data = ",".join(record.body for record in records)
    return Response(f'{{"data":[{data}],"has_more":{str(has_more).lower()}}}', media_type="application/json")


@routes.delete("")
def remove(topic: TopicPath, caller: Caller, stream: TheStream) -> Removed:
    """Delete the log of a deleted job for good: whoever follows it is told `reset`, whoever writes is refused."""
    require_service(caller)
    stream.log.write(partial(delete_whole, topic=topic, now=datetime.now(UTC)))
    return Removed(name=topic)


@routes.get("/producers/{producer}")
def mark(topic: TopicPath, producer: ProducerPath, stream: TheStream) -> ProducerMark:
    """How far a producer's numbering is in the log; an unknown producer stands at 0."""
    return stream.reader.mark(topic, producer)


@routes.put("/producers/{producer}/seal")
async def seal(
    topic: TopicPath, producer: ProducerPath, body: SealRequest, caller: Caller, stream: TheStream
) -> ProducerMark:
    """End a producer's numbering; up to the seal its backlog is still accepted, and the first seal stays."""
    require_service(caller)
    return await stream.committer.submit(Seal(topic, producer, body.at))
