"""What the training service is told at start."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.worker.settings import WorkerSettings


class TrainingSettings(WorkerSettings):
    """`TRAINING_*` in the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="TRAINING_")

    port: int = Field(default=8001, ge=0, le=65_535)
    spares: int = Field(default=1, ge=0, le=64)
    """Warm engines that wait for a job; 0 saves about 1 GB and costs each job its imports."""
