"""A worker service with the tiny engine, as a process of its own."""

from pydantic_settings import SettingsConfigDict

from shared.contracts.work import AttemptSpec, JobKind
from shared.kit.serve import serve
from shared.kit.settings import load_settings
from shared.worker.application import create_worker_application
from shared.worker.settings import WorkerSettings


class FakeWorkerSettings(WorkerSettings):
    """Settings of the test's worker."""

    model_config = SettingsConfigDict(env_prefix="WORKER_", frozen=True, extra="ignore")

    service: str = "worker"
    """Which service of the mesh it stands for."""


def _slow_where_asked(spec: AttemptSpec) -> str | None:
    return "tests.fakes.slow_engine" if spec.spec.get("engine") == "slow" else None


if __name__ == "__main__":
    settings = load_settings(FakeWorkerSettings)
    app = create_worker_application(
        service=settings.service, summary="A worker for tests", settings=settings, kinds=frozenset({JobKind.TRAINING}),
        engine="tests.fakes.engines", other_engine=_slow_where_asked,
    )  # fmt: skip
    serve(settings.service, app, settings)
