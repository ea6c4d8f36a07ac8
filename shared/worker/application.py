"""How a worker service is put together: gate, protocol, reporter, reaper, drain."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext

from fastapi import APIRouter, FastAPI

from shared.contracts.work import JobKind
from shared.kit.application import create_application
from shared.kit.auth import CachedKeys, Gate, ServiceTokens
from shared.kit.peer import OrchestratorKeys, PeerClient
from shared.kit.tasks import in_thread, running, set_thread_limit
from shared.worker.drain import draining_on_sigterm
from shared.worker.pair import OtherEngine, common_engine
from shared.worker.protocol import MAX_SPEC_BYTES, protocol
from shared.worker.settings import WorkerSettings
from shared.worker.workplace import Workplace


def create_worker_application(
    *,
    service: str,
    summary: str,
    settings: WorkerSettings,
    kinds: frozenset[JobKind],
    engine: str,
    other_engine: OtherEngine = common_engine,
    routers: Sequence[APIRouter] = (),
    beside: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
    body_limits: Mapping[str, int] | None = None,
) -> FastAPI:
    """A service's app that runs jobs of `kinds` with the engine module `engine`; `routers` are its own routes.

    `other_engine` names the module of those jobs that the common engine cannot run.
    What `beside` enters lives as long as the app; `body_limits` are those of the service's own routes.
    """
    tokens = ServiceTokens(service, settings.service_secret.get_secret_value())
    stream = PeerClient("stream", settings.stream_url, tokens)
    orchestrator = PeerClient("orchestrator", settings.orchestrator_url, tokens)
    place = Workplace(service, settings, kinds, engine, stream, orchestrator, other_engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        set_thread_limit(settings.threads)
        await in_thread(place.recover)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(stream.close)
            stack.push_async_callback(orchestrator.close)
            stack.push_async_callback(in_thread, place.worker.close)
            tasks = ("reporter", place.reporter.run), ("reaper", place.reap), ("hints", place.hints.run)
            await stack.enter_async_context(running(*tasks, ("gauges", place.measure)))
            await stack.enter_async_context(beside())
            await stack.enter_async_context(draining_on_sigterm(place.drain, settings.drains_now))
            yield

    gate = Gate(CachedKeys(OrchestratorKeys(orchestrator)), tokens)
    app = create_application(
        service=service, summary=summary, settings=settings, gate=gate, routers=[protocol, *routers],
        lifespan=lifespan, ready=place.check_ready, peers=[stream, orchestrator],
        body_limits={**(body_limits or {}), "/jobs/": MAX_SPEC_BYTES},
    )  # fmt: skip
    app.state.worker = place.worker
    return app
