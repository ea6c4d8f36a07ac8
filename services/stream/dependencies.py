"""What the routes ask for by type."""

from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import HTTPConnection

from services.stream.wiring import Stream
from shared.contracts.base import LogId, RunId
from shared.contracts.events import MAX_SEQ, Producer, Topic
from shared.kit.auth import Tickets


async def stream_of(connection: HTTPConnection) -> Stream:
    """The running service."""
    # A plain function would cost every request a trip to the thread pool.
    stream = connection.app.state.stream
    assert isinstance(stream, Stream)
    return stream


def tickets_of(connection: HTTPConnection) -> Tickets:
    """What signs this service's tickets."""
    tickets = connection.app.state.tickets
    assert isinstance(tickets, Tickets)
    return tickets


TheTickets = Annotated[Tickets, Depends(tickets_of)]
TheStream = Annotated[Stream, Depends(stream_of)]
TopicPath = Annotated[Topic, Path(description="`job:<job id>` or `project:<name>`")]
ProducerPath = Annotated[Producer, Path(description="An attempt's id, `orchestrator`, or a name of your own")]
JobQuery = Annotated[LogId, Query(description="A job's or a run's id")]
RunPath = Annotated[RunId, Path(description="`run-` and a ULID in lower case")]
AfterSeq = Annotated[int, Query(ge=0, le=MAX_SEQ, description="Only events numbered above this")]
Limit = Annotated[int, Query(ge=1, le=1000)]
