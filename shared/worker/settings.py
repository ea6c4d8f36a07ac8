"""Settings that every worker service shares."""

from typing import Literal

from pydantic import Field

from shared.kit.settings import ServiceSettings


class WorkerSettings(ServiceSettings):
    """A service that runs jobs; a subclass sets `env_prefix`, its port and its number of spares."""

    engine: str = ""
    """Module that does the work; the service's own when empty."""
    slots: int = Field(default=1, ge=1, le=1024)
    """Attempts that may run at once."""
    gpus: int | None = Field(default=None, ge=0, le=1024)
    """GPUs that may be promised to attempts; those of the machine when empty."""
    memory_gb: float | None = Field(default=None, ge=0)
    """Host memory (GB, 10^9 bytes) that may be promised; what the machine or its container may use when empty."""
    spares: int = Field(default=0, ge=0, le=64)
    """Warm process pairs that wait for a job."""
    spare_refill_s: float = Field(default=20.0, ge=0)
    """A used spare is replaced when nothing runs, or this long after, at low priority."""
    stop_grace_s: float = Field(default=30.0, gt=0, le=3600)
    """From a stop, pause or preemption to the end of the process group."""
    output_bytes: int = Field(default=16 << 20, ge=1 << 20)
    """What is kept of an attempt's output: the first of it (1 MiB, or a quarter), and the newest."""
    on_sigterm: Literal["leave", "drain"] = "leave"
    """`leave`: jobs run on without the service, unless the file `<data_dir>/drain` is there, as `imts up` puts it
    when it stops everything. `drain`: preempt them, report, then exit."""
    drain_timeout_s: float = Field(default=60.0, ge=0)
    """Longest wait of a drain for exits and for the last events to be reported."""
    engine_environment: list[str] = []
    """Further environment variables that engines inherit, by name."""

    def drains_now(self) -> bool:
        """Whether a SIGTERM that comes now is to end the jobs too."""
        return self.on_sigterm == "drain" or (self.data_dir / "drain").exists()
