"""The event log as a FastAPI application, :8004."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.stream.api import metrics, retention, sse, tickets, topics, trainer_status, websocket
from services.stream.api.express import Express
from services.stream.settings import StreamSettings
from services.stream.turnstile import TicketTurnstile
from services.stream.wiring import Stream
from shared.kit.application import create_application
from shared.kit.auth import CachedKeys, Gate, ServiceTokens, Tickets
from shared.kit.peer import OrchestratorKeys, PeerClient
from shared.kit.tasks import in_thread


def create_app(settings: StreamSettings) -> FastAPI:
    """The service, not yet started: nothing is opened before its lifespan begins."""
    tokens = ServiceTokens("stream", settings.service_secret.get_secret_value())
    passes = Tickets("stream", settings.service_secret.get_secret_value())
    orchestrator = PeerClient("orchestrator", settings.orchestrator_url, tokens)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        app.state.stream = Stream(settings)
        try:
            async with app.state.stream.running():
                yield
        finally:
            await orchestrator.close()

    async def ready() -> None:
        await in_thread(app.state.stream.reader.check)

    app = create_application(
        service="stream",
        summary="The event log: durable, gapless, numbered; the same over REST, SSE and WebSocket.",
        settings=settings,
        gate=Gate(CachedKeys(OrchestratorKeys(orchestrator)), tokens),
        routers=[
            topics.routes,
            metrics.routes,
            sse.routes,
            websocket.routes,
            trainer_status.routes,
            tickets.routes,
            retention.routes,
        ],
        lifespan=lifespan,
        turnstile=TicketTurnstile(passes),
        ready=ready,
        peers=[orchestrator],
        express=Express,
        body_limits={"/v1/topics/": settings.max_append_bytes},
    )
    app.state.tickets = passes
    return app
