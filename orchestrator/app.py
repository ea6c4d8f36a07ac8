"""The orchestrator's web application."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from orchestrator.api import (
    audit,
    commands,
    datasets,
    internal,
    keys,
    models,
    plans,
    quotas,
    sweeps,
    system,
    webhooks,
    workers,
)
from orchestrator.api.jobs import job_routers
from orchestrator.api.openai import chat
from orchestrator.api.openai import models as model_cards
from orchestrator.db.engine import migrate
from orchestrator.domain.peers import Peers
from orchestrator.operations.keys import preset_key
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import SERVICE, Wiring, build_wiring
from shared.kit.application import create_application
from shared.kit.memory import give_back_memory
from shared.kit.tasks import in_thread, running, set_thread_limit

MAX_CHAT_BYTES = 3 << 20
"""Of a conversation; the training service takes a little more, as it is told of the weights too."""


def _prepare(wiring: Wiring) -> None:
    migrate(wiring.database)
    wiring.scratch.sweep()
    preset_key(wiring.units, wiring.settings.api_key.get_secret_value())
    give_back_memory()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    wiring: Wiring = app.state.wiring
    set_thread_limit(wiring.settings.threads)
    await in_thread(_prepare, wiring)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(in_thread, wiring.database.close)
        for client in wiring.clients:
            stack.push_async_callback(client.close)
        stack.push_async_callback(wiring.egress.close)
        stack.push_async_callback(wiring.serving.close)
        stack.push_async_callback(wiring.planning.close)
        tasks = ("reconciler", wiring.reconciler.run), ("outbox", wiring.relay.run), ("webhooks", wiring.courier.run)
        erasing = ("deletions", wiring.eraser.run), ("retention", wiring.retirement.run)
        slow = ("housekeeping", wiring.housekeeper.run), ("census", wiring.census.run), ("lanes", wiring.lanes.run)
        await stack.enter_async_context(running(*tasks, *erasing, *slow))
        yield


def create_app(settings: OrchestratorSettings, peers: Peers | None = None) -> FastAPI:
    """The application; `peers` replaces the real services in tests."""
    wiring = build_wiring(settings, peers)
    app = create_application(
        service=SERVICE,
        summary="Jobs, data sets and models: what is wanted, where it stands, and why.",
        settings=settings,
        gate=wiring.gate,
        routers=[
            *job_routers(),
            commands.routes,
            plans.routes,
            sweeps.routes,
            datasets.routes,
            models.routes,
            chat.routes,
            model_cards.routes,
            quotas.routes,
            audit.routes,
            workers.routes,
            webhooks.routes,
            system.routes,
            keys.routes,
            internal.routes,
        ],
        lifespan=_lifespan,
        ready=wiring.readiness.check,
        peers=wiring.clients,
        body_limits={
            "/api/datasets": settings.max_upload_bytes,
            "/api/models": settings.max_upload_bytes,
            "/api/models/tiny": settings.max_body_bytes,
            "/v1/chat/completions": MAX_CHAT_BYTES,
        },
    )
    app.state.wiring = wiring
    return app
