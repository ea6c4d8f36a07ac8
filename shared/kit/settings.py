"""One frozen settings class per process; all faults are reported at once, secrets starred."""

import ipaddress
import sys
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kit.targets import parse_hubs, parse_targets

S = TypeVar("S", bound="ServiceSettings")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ServiceSettings(BaseSettings):
    """What every service is told; a subclass sets `env_prefix` and adds its own."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_535)
    public_url: str = ""
    """Address for people; derived from host and port when empty."""
    data_dir: Path = Path("data")
    """The service's own folder: databases, job directories."""
    service_secret: SecretStr = Field(default=SecretStr(""), validation_alias="IMTS_SERVICE_SECRET")
    """Signs the tokens with which services know each other; at least 32 characters."""
    api_key: SecretStr = Field(default=SecretStr(""), validation_alias="IMTS_API_KEY")
    """Preset admin key."""
    orchestrator_url: str = Field(
        default="http://127.0.0.1:8080",
        validation_alias="IMTS_ORCHESTRATOR_URL",
    )
    stream_url: str = Field(default="http://127.0.0.1:8004", validation_alias="IMTS_STREAM_URL")
    artifacts_url: str = Field(default="", validation_alias="IMTS_ARTIFACTS_URL")
    """Where artifacts live: a folder, or any fsspec URL; `<data_dir>/artifacts` when empty."""
    ollama_targets: str = Field(default="", validation_alias="IMTS_OLLAMA_TARGETS")
    """Ollama servers that exports may be sent to, as `name=http://host:11434,name=URL`: users name them only."""
    hub_targets: str = Field(default="", validation_alias="IMTS_HUB_TARGETS")
    """Model hubs that exports may be pushed to, as `name=https://huggingface.co/namespace,name=URL`: users name them
    only."""
    log_format: Literal["text", "json"] = Field(default="text", validation_alias="IMTS_LOG_FORMAT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", validation_alias="IMTS_LOG_LEVEL")
    max_body_bytes: int = Field(default=256 * 1024, ge=1024)
    """Largest JSON body; upload routes have their own limit."""
    threads: int = Field(default=16, ge=1, le=256)
    """Blocking calls at once: the thread limit and the size of the database pool."""

    @field_validator("ollama_targets")
    @classmethod
    def _targets_can_be_read(cls, value: str) -> str:
        parse_targets(value)
        return value

    @field_validator("hub_targets")
    @classmethod
    def _hubs_can_be_read(cls, value: str) -> str:
        parse_hubs(value)
        return value

    @model_validator(mode="after")
    def _secrets_are_set(self) -> Self:
        if len(self.service_secret.get_secret_value()) < 32:
            raise ValueError("IMTS_SERVICE_SECRET must be set to at least 32 characters")
        if not is_loopback(self.host) and not self.api_key.get_secret_value():
            raise ValueError("binding beyond loopback needs IMTS_API_KEY: set it, or bind to 127.0.0.1")
        return self

    @property
    def url(self) -> str:
        """Address to show to people and peers."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def artifacts(self) -> str:
        """Where artifacts live, default applied."""
        return self.artifacts_url or str(self.data_dir / "artifacts")


def load_settings(kind: type[S]) -> S:
    """Read the environment; on faults print every one without any value, and exit with 78 (EX_CONFIG)."""
    try:
        return kind()
    except ValidationError as fault:
        for sentence in faults_of(kind, fault):
            print(f"settings: {sentence}", file=sys.stderr)
        raise SystemExit(78) from None


def faults_of(kind: type[ServiceSettings], fault: ValidationError) -> list[str]:
    """Each fault as `VARIABLE: what is wrong`, without any value."""
    prefix = str(kind.model_config.get("env_prefix", "")).upper()
    told = []
    for error in fault.errors(include_input=False, include_context=False, include_url=False):
        where = ".".join(str(part) for part in error["loc"])
        name = where if where.startswith("IMTS_") else f"{prefix}{where.upper()}"
        told.append(f"{name if where else kind.__name__}: {error['msg']}")
    return told
