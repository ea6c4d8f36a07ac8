"""The evaluator's web process: it takes evaluation jobs and leaves the work to engines."""

from fastapi import FastAPI

from services.evaluator.settings import EvaluatorSettings
from shared.contracts.work import JobKind
from shared.worker.application import create_worker_application


def create_app(settings: EvaluatorSettings) -> FastAPI:
    """The service, ready to be served."""
    return create_worker_application(
        service="evaluator",
        summary="Asks models questions and says how well they answer.",
        settings=settings,
        kinds=frozenset({JobKind.EVALUATION}),
        engine="services.evaluator.engine",
    )
