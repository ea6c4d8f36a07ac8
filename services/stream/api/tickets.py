"""Tickets for browsers."""

from datetime import UTC, datetime

from services.stream.dependencies import TheTickets, TopicPath
from shared.contracts.events import Ticket
from shared.kit.application import Caller, api_router

routes = api_router("/v1/topics/{topic}", "live")


@routes.post("/tickets", status_code=201)
async def issue(topic: TopicPath, caller: Caller, tickets: TheTickets) -> Ticket:
    """A ticket for this topic's stream: `?ticket=` instead of a header, good for a minute to connect."""
    ticket, expires = tickets.issue(topic, caller.name)
    return Ticket(ticket=ticket, expires_at=datetime.fromtimestamp(expires, UTC))
