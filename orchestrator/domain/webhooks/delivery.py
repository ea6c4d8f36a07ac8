"""A message to a webhook, written with the move that it tells of and sent afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.census import Backlog
from shared.contracts.webhooks import DeliveryStatus


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one webhook; messages about one subject are sent one after the other."""

    delivery_id: str
    """Sent as `webhook-id`: by it a receiver knows a message that comes twice."""
    webhook_id: str
    subject: str
    """The job; the message itself when it is about none."""
    sequence: int
    """Its place among the messages about the subject."""
    event_type: str
    body: str
    """The very bytes that every try sends."""
    created_at: datetime
    next_try_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    failures: int = 0
    """In a row; a redelivery begins at none."""
    last_status: int | None = None
    last_error: str | None = None
    ended_at: datetime | None = None

    @property
    def job_id(self) -> str | None:
        """The job that it is about."""
        return None if self.subject == self.delivery_id else self.subject


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this process may send until `token` expires."""

    delivery: Delivery
    token: str


class DeliveryRepository(Protocol):
    """Messages on their way, and those that arrived."""

    def add(self, deliveries: Sequence[Delivery]) -> None: ...

    def awaited(self, now: datetime) -> list[str]:
        """Enabled webhooks with messages whose time has come."""
        ...

    def claim(self, webhook_id: str, limit: int, owner: str, now: datetime, until: datetime) -> list[Claimed]:
        """Take due messages that nobody holds, of each subject the first that is pending."""
        ...

    def record(self, delivery: Delivery, token: str) -> bool:
        """Write down what became of a try, and give it back; False when somebody else holds it by now."""
        ...

    def find(self, webhook_id: str, delivery_id: str) -> Delivery | None: ...

    def send_again(self, delivery_id: str, now: datetime) -> bool:
        """Make an ended message pending; False when it is pending already."""
        ...

    def page(self, webhook_id: str, status: DeliveryStatus | None, before: str | None, limit: int) -> list[Delivery]:
        """Newest first, those with ids below `before`."""
        ...

    def release_all(self, owner: str) -> int:
        """Give back what an earlier process of this name left claimed."""
        ...

    def backlog(self) -> Backlog:
        """Pending messages of enabled webhooks."""
        ...

    def delete_before(self, before: datetime, limit: int) -> int:
        """Delete what was written before then."""
        ...
