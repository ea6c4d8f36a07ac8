"""What the evaluator is told at start."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.worker.settings import WorkerSettings


class EvaluatorSettings(WorkerSettings):
    """`EVALUATOR_*` in the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="EVALUATOR_")

    port: int = Field(default=8003, ge=0, le=65_535)
