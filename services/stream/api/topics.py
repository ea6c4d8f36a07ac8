"""The log over REST: append, seal, marks, pages."""

from starlette.responses import Response

from services.stream.dependencies import AfterSeq, Limit, ProducerPath, TheStream, TopicPath
from services.stream.log.admission import admit
from services.stream.log.numbering import Append, Seal
from services.stream.permissions import require_own_events
from shared.contracts.events import AppendRequest, EventPage, ProducerMark, SealRequest
from shared.kit.application import Caller, api_router
from shared.kit.auth import require_service

routes = api_router("/v1/topics/{topic}", "log")


@routes.post("/events")
async def append(topic: TopicPath, body: AppendRequest, caller: Caller, stream: TheStream) -> ProducerMark:
    """Append a run of one producer's events; what the log has already is dropped, a hole is refused with 409."""
    require_own_events(caller, topic, body)
    entries = admit(topic, body.events)
    return await stream.committer.submit(Append(topic, body.producer, body.first_seq, entries))


@routes.get("/events", response_model=EventPage)
def read(topic: TopicPath, stream: TheStream, after: AfterSeq = 0, limit: Limit = 100) -> Response:
    """A page of the log, oldest first; large events make a page shorter than `limit`."""
    records, has_more = stream.reader.page(topic, after, limit)
    # Joined as stored: parsing a thousand events only to print them again would cost more than the query.
    data = ",".join(record.body for record in records)
    return Response(f'{{"data":[{data}],"has_more":{str(has_more).lower()}}}', media_type="application/json")


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
