"""What the orchestrator is told."""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from shared.contracts.scheduling import Scheduling
from shared.kit.egress import EgressRules
from shared.kit.settings import ServiceSettings

_ADDRESS = re.compile(r"(?:(?P<name>[A-Za-z0-9][A-Za-z0-9._:-]{0,95})=)?(?P<url>https?://(?P<host>[^/,\s]+)[^,\s]*)")


def _addresses(service: str, text: str) -> dict[str, str]:
    """`URL`, or `name=URL` several times: a nameless one is called like the service, or like its host among others."""
    found: dict[str, str] = {}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        match = _ADDRESS.fullmatch(part)
        if match is None:
            raise ValueError(f"{service}_url: use `http://host:port`, or several as `name=URL,name=URL`")
        name = match["name"] or (service if len(parts) == 1 else match["host"])
        if name in found:
            raise ValueError(f"{service}_url: two workers are called {name}; name each one once")
        found[name] = match["url"]
    if not found:
        raise ValueError(f"{service}_url: name at least one address")
    return found


class OrchestratorSettings(ServiceSettings):
    """Environment variables `ORCHESTRATOR_…`, and the mesh's `IMTS_…`."""

    model_config = SettingsConfigDict(env_prefix="ORCHESTRATOR_", frozen=True, extra="ignore")

    port: int = Field(default=8080, ge=0, le=65_535)
    data_dir: Path = Path("data/orchestrator")
    database_url: SecretStr = SecretStr("")
    """`mysql+pymysql://…`; a SQLite file in `data_dir` when empty."""
    training_url: str = "http://127.0.0.1:8001"
    """One address, or several as `name=URL,name=URL`: a worker's attempts are looked for under its name for ever."""
    analyzer_url: str = "http://127.0.0.1:8002"
    """Likewise."""
    evaluator_url: str = "http://127.0.0.1:8003"
    """Likewise."""
    serving_upstream_url: str = ""
    """A server that speaks OpenAI's API, such as vLLM at `http://host:8000/v1`: models that it lists as `name@version`
    are served there, all others by the training service."""
    serving_upstream_key: SecretStr = SecretStr("")
    """What it wants as API key."""
    planning_timeout_s: float = Field(default=150.0, gt=0)
    """Longest that a training service may take for a plan."""
    serving_timeout_s: float = Field(default=600.0, gt=0)
    """Longest wait for an answer, or between two pieces of a streamed one."""
    max_queued_jobs: int = Field(default=10_000, ge=1)
    """Submissions past this many waiting jobs answer 429 `queue_full`."""
    max_upload_bytes: int = Field(default=2 * 1024**3, ge=1024)
    queue_timeout_s: float | None = Field(default=None, ge=1)
    """Longest wait for a first attempt, for jobs that do not say; no bound when empty."""
    run_timeout_s: float | None = Field(default=None, ge=1)
    """Longest life of an attempt, likewise."""
    no_progress_timeout_s: float | None = Field(default=None, ge=1)
    """Longest silence of a running attempt's event log, likewise."""
    look_interval_s: float = Field(default=1.0, gt=0, le=60)
    """Pause between two looks at a working job that nobody hinted at."""
    lease_s: float = Field(default=30.0, gt=1)
    """How long a replica that went silent keeps its jobs from the others."""
    retry_backoff_s: float = Field(default=2.0, ge=0)
    """Wait before the first automatic retry; doubles with each."""
    drain_patience_s: float = Field(default=30.0, ge=0)
    """How long a finished job waits for its last events before it says so."""
    job_retention_days: float | None = Field(default=None, ge=0)
    """Jobs that ended longer ago are deleted, unless they made a model or others wait for them; none when empty."""
    outbox_kept_days: int = Field(default=7, ge=1)
    """Sent events are kept this long for inspection."""
    egress_allow: str = ""
    """Hosts, addresses and networks inside that webhooks may call, as `host,10.1.0.0/16`; public ones need no word."""
    egress_http: bool = False
    """Let webhooks call `http://` too."""
    egress_ca_file: Path | None = None
    """Certificates of a private authority that receivers' certificates may be from."""
    webhook_timeout_s: float = Field(default=15.0, gt=0, le=30)
    """Longest wait for a receiver's answer, name and connection included."""
    webhook_retry_s: float = Field(default=5.0, gt=0, le=60)
    """Wait before the second try of a message; grows threefold each time, to 7,200 times as long."""
    webhook_disable_days: float = Field(default=3.0, gt=0)
    """A webhook to which nothing arrived for this long is disabled."""
    webhook_kept_days: int = Field(default=7, ge=2)
    """Messages are kept this long for inspection and redelivery."""

    @model_validator(mode="after")
    def _egress_can_be_read(self) -> Self:
        EgressRules.parse(self.egress_allow)
        return self

    @model_validator(mode="after")
    def _workers_are_told_apart(self) -> Self:
        names = [name for pool in self.pools.values() for name in pool]
        if len(names) != len(set(names)):
            raise ValueError("two workers have the same name; name each one once, as in `name=URL,name=URL`")
        return self

    @property
    def terms(self) -> Scheduling:
        """The limits of jobs that say nothing about them."""
        return Scheduling(
            queue_timeout_s=self.queue_timeout_s, run_timeout_s=self.run_timeout_s,
            no_progress_timeout_s=self.no_progress_timeout_s,
        )  # fmt: skip

    @property
    def egress(self) -> EgressRules:
        """Which URLs of users may be called."""
        return EgressRules.parse(self.egress_allow, allow_http=self.egress_http)

    @property
    def pools(self) -> dict[str, dict[str, str]]:
        """The addresses of each service's workers, by name."""
        told = {"training": self.training_url, "analyzer": self.analyzer_url, "evaluator": self.evaluator_url}
        return {service: _addresses(service, text) for service, text in told.items()}

    @property
    def database(self) -> str:
        """The database's address, default applied."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir / 'imts.db'}"
