"""Webhooks, from an admin's side."""

import uuid
from collections.abc import Sequence

from imts.client.transport import Transport
from shared.contracts.webhooks import DeliveryPage, DeliveryView, WebhookList, WebhookView, WebhookWithSecret


class Webhooks:
    """Who is told of jobs over HTTP."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, url: str, events: Sequence[str], *, project: str | None = None) -> WebhookWithSecret:
        """Tell a receiver of jobs from now on; the answer has the secret that messages are signed with."""
        body = {"url": url, "events": list(events), "project": project}
        # A key of our own makes it safe to send a request again whose answer, and so the secret, was lost.
        return self._transport.post("/api/webhooks", WebhookWithSecret, body, idempotency_key=uuid.uuid4().hex)

    def list(self) -> WebhookList:
        """Every webhook, and how it does."""
        return self._transport.get("/api/webhooks", WebhookList)

    def get(self, webhook_id: str) -> WebhookView:
        """One webhook."""
        return self._transport.get(f"/api/webhooks/{webhook_id}", WebhookView)

    def rotate(self, webhook_id: str) -> WebhookWithSecret:
        """A new secret; the old one signs beside it for a day."""
        return self._transport.post(f"/api/webhooks/{webhook_id}/rotate", WebhookWithSecret)

    def test(self, webhook_id: str) -> DeliveryView:
        """Send a `ping`."""
        return self._transport.post(f"/api/webhooks/{webhook_id}/test", DeliveryView)

    def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryView:
        """What became of one message."""
        return self._transport.get(f"/api/webhooks/{webhook_id}/deliveries/{delivery_id}", DeliveryView)

    def deliveries(self, webhook_id: str, *, status: str | None = None, limit: int = 50) -> DeliveryPage:
        """Its messages, newest first."""
        return self._transport.get(
            f"/api/webhooks/{webhook_id}/deliveries", DeliveryPage, {"status": status, "limit": limit}
        )

    def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryView:
        """Send a message again, under its own id."""
        return self._transport.post(f"/api/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", DeliveryView)

    def delete(self, webhook_id: str) -> None:
        """With its messages, sent or not."""
        self._transport.delete(f"/api/webhooks/{webhook_id}")
