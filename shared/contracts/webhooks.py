"""Webhooks: who is told of jobs, and what became of each message."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints

from shared.contracts.base import Contract, Int, JsonObject, Name, Text

WebhookId = Annotated[str, StringConstraints(pattern=r"^wh-[0-9a-z]{26}$")]
DeliveryId = Annotated[str, StringConstraints(pattern=r"^msg-[0-9a-z]{26}$")]
"""The message's `webhook-id`, the same however often it is sent."""

JobNews = Literal["job.succeeded", "job.failed", "job.stopped", "job.phase_changed"]
"""What a webhook may ask for; `job.phase_changed` is every move that has no name of its own in the same webhook."""


class WebhookSpec(Contract):
    """Where to send what."""

    url: Annotated[Text, Field(min_length=1, max_length=2048)]
    events: Annotated[list[JobNews], Field(min_length=1, max_length=8)]
    project: Name | None = None
    """Only of this project's jobs; of all when absent."""
    enabled: Annotated[bool, Strict()] = True


class WebhookView(Contract):
    """A webhook, and how it does; its secret is not shown again."""

    webhook_id: str
    url: str
    events: list[str]
    project: str | None = None
    enabled: bool
    disabled_because: str | None = None
    """Why the server stopped sending; null while it sends, or when a person stopped it."""
    failing_since: datetime | None = None
    """Of the first failure since the last success."""
    version: Int
    """The `ETag` of the answer."""
    created_at: datetime
    created_by: str
    updated_at: datetime


class WebhookWithSecret(WebhookView):
    """What making a webhook, or a new secret for one, answers."""

    secret: str | None = None
    """`whsec_…`, shown this once; null in the answer to a key that was used more than a day ago."""


class WebhookList(Contract):
    """Every webhook."""

    data: list[WebhookView]


class DeliveryStatus(StrEnum):
    """What became of a message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up; `redeliver` tries again."""


class DeliveryView(Contract):
    """One message to one webhook."""

    delivery_id: str
    """Sent as `webhook-id`."""
    event_type: str
    job_id: str | None = None
    status: DeliveryStatus
    attempts: Int
    last_status: Int | None = None
    """HTTP status of the newest answer; null when there was none."""
    last_error: str | None = None
    next_try_at: datetime | None = None
    created_at: datetime
    ended_at: datetime | None = None
    payload: JsonObject


class DeliveryPage(Contract):
    """A page of messages, newest first."""

    data: list[DeliveryView]
    has_more: bool
    next_cursor: str | None = None
