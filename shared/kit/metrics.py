"""The door to Prometheus: request counts and times of every service, and its `/metrics` page."""

import time

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("mesh_http_requests_total", "Answered requests", ["service", "method", "route", "status"])
DURATION = Histogram("mesh_http_request_seconds", "Time to the first byte", ["service", "route"])


class RequestMetrics:
    """ASGI middleware: counts by route template, so that ids in paths make no new series."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        has_answered = False

        def count(status: int) -> None:
            nonlocal has_answered
            has_answered = True
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUESTS.labels(self._service, scope["method"], route, status).inc()
            DURATION.labels(self._service, route).observe(time.perf_counter() - started)

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:
            # Starlette answers it, further out than we can see.
            if not has_answered:
                count(500)
            raise


def metrics_page() -> Response:
    """Everything this process counts, in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
