"""The training service's web process: it takes training and export jobs and leaves the work to engines."""

from fastapi import FastAPI

from services.training.settings import TrainingSettings
from shared.contracts.work import JobKind
from shared.worker.application import create_worker_application


def create_app(settings: TrainingSettings) -> FastAPI:
    """The service, ready to be served."""
    return create_worker_application(
        service="training",
        summary="Fine-tunes language models with LLaMA-Factory and makes tiny ones.",
        settings=settings,
        kinds=frozenset({JobKind.TRAINING, JobKind.EXPORT}),
        engine="services.training.engine",
    )
