"""What the analyzer is told at start."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.worker.settings import WorkerSettings


class AnalyzerSettings(WorkerSettings):
    """`ANALYZER_*` in the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="ANALYZER_")

    port: int = Field(default=8002, ge=0, le=65_535)
