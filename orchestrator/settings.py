"""What the orchestrator is told."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.kit.settings import ServiceSettings


class OrchestratorSettings(ServiceSettings):
    """Environment variables `ORCHESTRATOR_…`, and the mesh's `IMTS_…`."""

    model_config = SettingsConfigDict(env_prefix="ORCHESTRATOR_", frozen=True, extra="ignore")

    port: int = Field(default=8080, ge=0, le=65_535)
    data_dir: Path = Path("data/orchestrator")
    database_url: SecretStr = SecretStr("")
    """`mysql+pymysql://…`; a SQLite file in `data_dir` when empty."""
    training_url: str = "http://127.0.0.1:8001"
    analyzer_url: str = "http://127.0.0.1:8002"
    evaluator_url: str = "http://127.0.0.1:8003"
    max_queued_jobs: int = Field(default=10_000, ge=1)
    """Submissions past this many waiting jobs answer 429 `queue_full`."""
    max_upload_bytes: int = Field(default=2 * 1024**3, ge=1024)
    look_interval_s: float = Field(default=1.0, gt=0, le=60)
    """Pause between two looks at a working job that nobody hinted at."""
    lease_s: float = Field(default=30.0, gt=1)
    """How long a replica that went silent keeps its jobs from the others."""
    retry_backoff_s: float = Field(default=2.0, ge=0)
    """Wait before the first automatic retry; doubles with each."""
    drain_patience_s: float = Field(default=30.0, ge=0)
    """How long a finished job waits for its last events before it says so."""
    outbox_kept_days: int = Field(default=7, ge=1)
    """Sent events are kept this long for inspection."""

    @property
    def database(self) -> str:
        """The database's address, default applied."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir / 'imts.db'}"
