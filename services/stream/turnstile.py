"""Who comes with a ticket: to a live route, for the topic the ticket names, and nowhere else."""

import re
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from shared.contracts.events import job_topic
from shared.kit.auth import Principal, Tickets
from shared.kit.errors import Forbidden

_TOPIC_STREAM = re.compile(r"/v1/topics/([^/]+)/stream")
_BY_JOB = frozenset({"/api/stream/metrics", "/ws/metrics"})
_SOCKET = "/ws/metrics"


class TicketTurnstile:
    """Reads `?ticket=` on the SSE and WebSocket routes."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets

    def __call__(self, connection: HTTPConnection) -> Principal | None:
        path = connection.scope["path"]
        topic = _asked_topic(path, connection.query_params.get("job_id"))
        ticket = connection.query_params.get("ticket")
        if topic is None or not ticket:
            return None
        principal = self._tickets.verify(ticket)
        if topic and topic != principal.only_topic:
            raise Forbidden("the ticket is for another topic", param="ticket")
        return principal


def _asked_topic(path: str, job_id: str | None) -> str | None:
    """The topic asked for, empty when a socket will say later; None where no ticket is taken."""
    if found := _TOPIC_STREAM.fullmatch(path):
        return found[1]
    if path not in _BY_JOB:
        return None
    if job_id:
        return job_topic(job_id)
    return "" if path == _SOCKET else None


def is_foreign(connection: HTTPConnection) -> bool:
    """Whether a page of another origin opened this: browsers say so on every WebSocket, programs do not."""
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != connection.headers.get("host")
