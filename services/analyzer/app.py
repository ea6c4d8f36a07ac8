"""The analyzer's web process: it takes analysis jobs and leaves the work to engines."""

from fastapi import FastAPI

from services.analyzer.settings import AnalyzerSettings
from shared.contracts.work import JobKind
from shared.worker.application import create_worker_application


def create_app(settings: AnalyzerSettings) -> FastAPI:
    """The service, ready to be served."""
    return create_worker_application(
        service="analyzer",
        summary="Looks at data sets and says how healthy they are.",
        settings=settings,
        kinds=frozenset({JobKind.ANALYSIS}),
        engine="services.analyzer.engine",
    )
