"""A webhook: where news of jobs is sent, and how it does there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver; changed only by making a new value and saving it against `version`."""

    webhook_id: str
    url: str
    events: Sequence[str]
    project: str | None
    """None hears of every project's jobs."""
    is_enabled: bool
    secret: str
    """Sealed, as is the one before it."""
    created_at: datetime
    created_by: str
    updated_at: datetime
    earlier_secret: str | None = None
    earlier_until: datetime | None = None
    """Until when the secret before this one signs too."""
    failing_since: datetime | None = None
    disabled_because: str | None = None
    version: int = 1

    def sealed_secrets(self, now: datetime) -> list[str]:
        """Those that sign now, newest first."""
        has_two = self.earlier_secret is not None and self.earlier_until is not None and now < self.earlier_until
        return [self.secret, self.earlier_secret] if has_two and self.earlier_secret else [self.secret]


class WebhookRepository(Protocol):
    """Webhooks by id."""

    def add(self, webhook: Webhook) -> None: ...

    def find(self, webhook_id: str) -> Webhook | None: ...

    def hold(self, webhook_id: str) -> Webhook | None:
        """Held against other changes until the transaction ends."""
        ...

    def all(self) -> list[Webhook]:
        """Oldest first."""
        ...

    def listening(self) -> list[Webhook]:
        """Those that are enabled."""
        ...

    def save(self, webhook: Webhook) -> None:
        """Write it as the version that it carries."""
        ...

    def delete(self, webhook_id: str) -> None:
        """With all its deliveries."""
        ...

    def note_success(self, webhook_id: str) -> None:
        """It fails no longer."""
        ...

    def note_failure(self, webhook_id: str, now: datetime) -> None:
        """It fails since now, unless it does already."""
        ...
