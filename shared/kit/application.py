"""How every service's FastAPI app is put together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import JsonValue
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.kit import context
from shared.kit.auth import Gate, Principal
from shared.kit.body import BodyLimit, StrictRoute
from shared.kit.error_handlers import install_error_handlers, problem_response
from shared.kit.errors import ImtsError
from shared.kit.logs import log_context
from shared.kit.metrics import RequestMetrics, metrics_page
from shared.kit.peer import PeerClient
from shared.kit.settings import ServiceSettings, is_loopback
from shared.kit.swagger import install_swagger, is_document

VERSION = version("imts")
_OPEN = frozenset({"/healthz", "/readyz"})

_ANSWERS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})

ReadyCheck = Callable[[], Awaitable[None]]
"""Raises Unavailable while the service cannot do its work."""
Turnstile = Callable[[HTTPConnection], Principal | None]
"""Admits who comes with another credential than a header; None: this caller is the gate's. Raises what it refuses."""
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


class Entrance:
    """ASGI middleware: gives each request its id and trace, admits the caller, answers early faults."""

    def __init__(self, app: ASGIApp, gate: Gate, own_credentials: frozenset[str], turnstile: Turnstile) -> None:
        self._app = app
        self._gate = gate
        self._own_credentials = own_credentials
        self._turnstile = turnstile

    def _is_open(self, scope: Scope) -> bool:
        path = scope["path"]
        if path in _OPEN or path in self._own_credentials:
            return True
        client = scope.get("client")
        return is_document(path) and client is not None and is_loopback(client[0])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        request_id = context.accept_request_id(connection.headers.get("x-request-id"))
        context.request_id.set(request_id)
        context.traceparent.set(context.accept_traceparent(connection.headers.get("traceparent")))

        async def labelled(message: Message) -> None:
            if message["type"] in _ANSWERS:
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        with log_context(request_id=request_id):
            try:
                if not self._is_open(scope):
                    authorization = connection.headers.get("authorization")
                    principal = None if authorization else self._turnstile(connection)
                    scope.setdefault("state", {})["principal"] = principal or await self._gate.admit(authorization)
                await self._app(scope, receive, labelled)
            except ImtsError as fault:
                await _refuse(fault, scope, receive, labelled)


async def _refuse(fault: ImtsError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
    # Starlette turns a response to a handshake into the messages that refuse it with this status and body.
    await problem_response(fault)(scope, receive, send)


def principal_of(connection: HTTPConnection) -> Principal:
    """The caller that `Entrance` admitted."""
    principal = connection.scope["state"]["principal"]
    assert isinstance(principal, Principal)
    return principal


async def _admitted(connection: HTTPConnection) -> Principal:
    # A plain function would cost every request a trip to the thread pool.
    return principal_of(connection)


Caller = Annotated[Principal, Depends(_admitted)]


def _house_routes(ready: ReadyCheck, url: str, peers: Sequence[PeerClient]) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def alive() -> JSONResponse:
        """The event loop turns; no dependency is asked."""
        return JSONResponse({"status": "ok", "version": VERSION})

    @routes.get("/readyz")
    async def able() -> JSONResponse:
        """The service can do its work now."""
        standings: list[JsonValue] = [peer.standing for peer in peers]
        try:
            await ready()
        except ImtsError as fault:
            fault.details = {**(fault.details or {}), "peers": standings}
            raise
        return JSONResponse({"status": "ready", "version": VERSION, "url": url, "peers": standings})

    @routes.get("/metrics")
    def counted() -> Response:
        """Prometheus metrics."""
        return metrics_page()

    return routes


def create_application(
    *,
    service: str,
    summary: str,
    settings: ServiceSettings,
    gate: Gate,
    routers: Sequence[APIRouter],
    lifespan: Lifespan,
    ready: ReadyCheck,
    peers: Sequence[PeerClient] = (),
    body_limits: Mapping[str, int] | None = None,
    own_credentials: frozenset[str] = frozenset(),
    turnstile: Turnstile = lambda _: None,
    express: Callable[[ASGIApp], ASGIApp] | None = None,
) -> FastAPI:
    """A service's app: its routers behind the gate, the house's routes, one error body.

    `body_limits` maps path prefixes to other body limits, the longest prefix wins; paths in `own_credentials` check
    their caller themselves; `turnstile` admits callers without a header; `express` answers admitted requests before
    FastAPI looks at them, or passes them on; `/readyz` tells how `peers` answer.
    """
    app = FastAPI(
        title=f"IMTS {service}", summary=summary, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None,
        separate_input_output_schemas=False,
    )  # fmt: skip
    app.router.route_class = StrictRoute
    for router in routers:
        app.include_router(router)
    app.include_router(_house_routes(ready, settings.url, peers))
    install_swagger(app)
    install_error_handlers(app)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, limits_by_path=body_limits or {})
    if express is not None:
        app.add_middleware(express)
    app.add_middleware(Entrance, gate=gate, own_credentials=own_credentials, turnstile=turnstile)
    app.add_middleware(RequestMetrics, service=service)
    return app


def api_router(prefix: str = "", tag: str = "") -> APIRouter:
    """A router whose JSON bodies are read strictly."""
    return APIRouter(prefix=prefix, tags=[tag] if tag else [], route_class=StrictRoute)
