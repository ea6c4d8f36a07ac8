"""How many jobs of a project may run and wait, and who said so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Quota:
    """The bounds of one project; None is no bound."""

    project: str
    max_running: int | None = None
    max_queued: int | None = None
    version: int = 0
    """0 when nobody ever set one."""
    updated_at: datetime | None = None
    updated_by: str | None = None


class QuotaRepository(Protocol):
    """Quotas by project."""

    def find(self, project: str) -> Quota:
        """The project's quota, without bounds when none was set."""
        ...

    def hold(self, project: str) -> Quota:
        """Likewise, held against other changes and starts until the transaction ends."""
        ...

    def all(self) -> list[Quota]:
        """Those that were set, by project."""
        ...

    def save(self, quota: Quota) -> None:
        """Write it as the version it carries; AlreadyThere when it is the first and somebody else was quicker."""
        ...
