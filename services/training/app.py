"""The training service's web process: it takes jobs and chat completions and leaves the work to engines."""

from fastapi import FastAPI

from services.training.planning.planner import Planner
from services.training.planning.routes import routes as planning
from services.training.serving.desk import Desk
from services.training.serving.routes import MAX_CALL_BYTES, PREFIX, routes
from services.training.settings import TrainingSettings
from shared.contracts.training import Stage
from shared.contracts.work import AttemptSpec, JobKind
from shared.worker.application import create_worker_application


def engine_of_ppo(spec: AttemptSpec) -> str | None:
    """Stage ppo needs a trl that no other stage goes with: an engine that starts afresh, with that one first."""
    is_ppo = spec.kind is JobKind.TRAINING and spec.spec.get("stage") == Stage.PPO
    return "services.training.ppo.engine" if is_ppo else None


def create_app(settings: TrainingSettings) -> FastAPI:
    """The service, ready to be served."""
    desk = Desk(settings)
    app = create_worker_application(
        service="training",
        summary="Fine-tunes language models with LLaMA-Factory, makes tiny ones, and serves them.",
        settings=settings,
        kinds=frozenset({JobKind.TRAINING, JobKind.EXPORT}),
        engine="services.training.engine",
        other_engine=engine_of_ppo,
        routers=[routes, planning],
        beside=desk.opened,
        body_limits={PREFIX: MAX_CALL_BYTES},
    )
    app.state.desk = desk
    app.state.planner = Planner(settings)
    return app
