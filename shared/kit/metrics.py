"""The door to Prometheus: requests and peer calls of every service, and its `/metrics` page."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("mesh_http_requests_total", "Answered requests", ["service", "method", "route", "status"])
DURATION = Histogram("mesh_http_request_seconds", "Time to the first byte", ["service", "route"])
PEER_SECONDS = Histogram(
    "mesh_peer_call_seconds", "Time until a peer answered or fell silent", ["service", "peer", "method"]
)
PEER_FAILURES = Counter("mesh_peer_failures_total", "Calls without a good answer", ["service", "peer", "reason"])
PEER_CIRCUIT = Gauge("mesh_peer_circuit_open", "1 while calls to a silent peer are not sent", ["service", "peer"])

__all__ = ["Counter", "Gauge", "Histogram", "PeerGauges", "RequestMetrics", "metrics_page"]


class PeerGauges:
    """What one service measures of one peer."""

    def __init__(self, service: str, peer: str) -> None:
        self._labels = (service, peer)
        self.circuit(is_open=False)

    @contextmanager
    def timed(self, method: str) -> Iterator[None]:
        """Observe a call, however it ends."""
        with PEER_SECONDS.labels(*self._labels, method).time():
            yield

    def failed(self, reason: str) -> None:
        """`timeout`, `no_connection`, `refused` (4xx), `fault` (5xx) or `circuit_open`."""
        PEER_FAILURES.labels(*self._labels, reason).inc()

    def circuit(self, *, is_open: bool) -> None:
        """Whether calls are held back."""
        PEER_CIRCUIT.labels(*self._labels).set(is_open)


__all__ = ["Counter", "Gauge", "Histogram", "RequestMetrics", "metrics_page"]


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
