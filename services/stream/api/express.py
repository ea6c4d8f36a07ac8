"""The short way to a live stream: a plain request joins without FastAPI; any other takes the usual way."""

import re

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from services.stream.api import sse
from shared.contracts.events import job_topic

_BY_JOB, _BY_TOPIC = "/api/stream/metrics", "/v1/topics/{topic}/stream"
_ROUTES = {route.path: route for route in sse.routes.routes if isinstance(route, APIRoute)}
_RESUME = b"last-event-id"
_TOPIC_PATH = re.compile(r"/v1/topics/((?:job|project):[A-Za-z0-9][A-Za-z0-9._-]{0,127})/stream")
_PLAIN = {
    "job_id": re.compile(r"(?:job|run)-[0-9a-z]{26}").fullmatch,
    "after": re.compile(r"[0-9]{1,15}").fullmatch,
    "ticket": re.compile(r"[A-Za-z0-9._-]+").fullmatch,
}
"""What needs no decoding and no error: narrower than what the routes take, never wider."""


class Express:
    """ASGI middleware, behind the gate. FastAPI's part of joining took longer than all the rest of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wish = _wish(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if wish is None:
            await self._app(scope, receive, send)
            return
        path, topic, after = wish
        scope["route"] = _ROUTES[path]
        last_event_id = next((value.decode("latin-1") for name, value in scope["headers"] if name == _RESUME), None)
        response = await sse.respond(scope["app"].state.stream, topic, last_event_id, after)
        await response(scope, receive, send)


def _wish(scope: Scope) -> tuple[str, str, int] | None:
    """Which route, which topic, after which event; None when it is not as plain as that."""
    if scope["path"] == _BY_JOB:
        query = _query(scope["query_string"])
        if query is None or "job_id" not in query:
            return None
        return _BY_JOB, job_topic(query["job_id"]), int(query.get("after", 0))
    if named := _TOPIC_PATH.fullmatch(scope["path"]):
        query = _query(scope["query_string"])
        return None if query is None or "job_id" in query else (_BY_TOPIC, named[1], int(query.get("after", 0)))
    return None


def _query(text: bytes) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for part in text.decode("latin-1").split("&") if text else ():
        name, _, value = part.partition("=")
        if name in found or name not in _PLAIN or not _PLAIN[name](value):
            return None
        found[name] = value
    return found
