"""What the training service is told at start."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.worker.settings import WorkerSettings

_FOR_ENGINES = ("IMTS_OLLAMA_TARGETS", "IMTS_HUB_TARGETS", "IMTS_HUB_TOKENS")


class EngineSettings(BaseSettings):
    """What an engine is told by its service's environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="IMTS_")

    ollama_targets: str = ""
    hub_targets: str = ""
    hub_tokens: str = ""
    """A folder with a file for each hub, named like it, that holds its token: no environment does."""


class TrainingSettings(WorkerSettings):
    """`TRAINING_*` in the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="TRAINING_")

    port: int = Field(default=8001, ge=0, le=65_535)
    spares: int = Field(default=1, ge=0, le=64)
    """Warm engines that wait for a job; 0 saves about 1 GB and costs each job its imports."""
    engine_environment: list[str] = Field(default=[], validate_default=True)
    """Further environment variables that engines inherit, by name."""
    planning_timeout_s: float = Field(default=120.0, gt=0)
    """Longest that a plan may take."""
    serving_rows: int = Field(default=16, ge=1, le=1024)
    """Answers that are made together."""
    serving_queue: int = Field(default=64, ge=1, le=10_000)
    """Calls that wait or are answered at once; more get 429."""
    serving_max_tokens: int = Field(default=1024, ge=1, le=1 << 20)
    """Longest answer, and the length of those that name none."""
    serving_idle_s: float = Field(default=600.0, gt=0)
    """What nobody asked for this long is unloaded; at last the serving engine ends."""
    serving_silence_s: float = Field(default=600.0, gt=0)
    """An engine that owes answers and says nothing this long hangs: it is killed, and its callers may ask again. Longer
    than the largest model takes to load."""
    serving_memory_gb: float | None = Field(default=None, gt=0)
    """What served weights and answers may take (GB, 10^9 bytes); a quarter of the GPU's memory, or of the machine's,
    when empty."""

    @field_validator("engine_environment")
    @classmethod
    def _engines_know_the_targets(cls, value: list[str]) -> list[str]:
        return [*value, *_FOR_ENGINES]
