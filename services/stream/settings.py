"""What the stream service is told."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.kit.settings import ServiceSettings


class StreamSettings(ServiceSettings):
    """Environment of `python -m services.stream`."""

    model_config = SettingsConfigDict(env_prefix="STREAM_")

    port: int = Field(default=8004, ge=0, le=65_535)
    database_url: SecretStr = SecretStr("")
    """`sqlite:///…` or `mysql+pymysql://…`; a file in `data_dir` when empty."""
    redis_url: SecretStr = Field(default=SecretStr(""), validation_alias="IMTS_REDIS_URL")
    """Carries wake-ups between replicas; they poll when empty."""
    max_append_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Largest body of one append, before and after it is inflated."""
    commit_lanes: int = Field(default=4, ge=1, le=32)
    """Committing threads on MySQL, topics spread over them; SQLite always has one."""
    max_waiting_appends: int = Field(default=2_048, ge=1)
    max_waiting_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """What is read or waits beyond either bound is refused with 429 until a commit has made room."""
    ring_events: int = Field(default=1_024, ge=1)
    ring_bytes: int = Field(default=1024 * 1024, ge=1024)
    """What a topic with listeners keeps in memory; who is further behind reads the log."""
    heartbeat_s: float = Field(default=15.0, gt=0)
    send_timeout_s: float = Field(default=30.0, gt=0)
    """A listener that takes nothing for this long is let go; it resumes by its last seq."""
    max_life_s: float = Field(default=3600.0, gt=0)
    """A stream open for this long is closed with a `farewell`; its listener resumes, here or at another replica."""
    farewell_retry_ms: int = Field(default=1000, ge=1, le=600_000)
    """After how long, half to twice as long, each at random."""
    handoff: bool = True
    """Write to SSE listeners' sockets directly; off, or where the server is not as expected: by ASGI, a task each."""
    poll_s: float = Field(default=0.1, gt=0)
    """How often replicas look for each other's events while no Redis carries wake-ups."""
    safety_poll_s: float = Field(default=2.0, gt=0)
    """The same while Redis does; covers lost wake-ups."""

    retention_sweep_s: float = Field(default=3600.0, gt=0)
    """How often old logs are looked for; each replica does, and shortens a little at a time."""

    @property
    def database(self) -> str:
        """Where the log lives, default applied."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir.resolve() / 'stream.db'}"
