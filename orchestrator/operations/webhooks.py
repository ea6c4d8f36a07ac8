"""Making, changing and deleting webhooks, with a record of who did; secrets are sealed, and told once."""

from dataclasses import dataclass, replace
from datetime import timedelta

from orchestrator.domain.audit import By, Change
from orchestrator.domain.idempotency import request_hash
from orchestrator.domain.ports import Signals, UnitOfWork, UnitsOfWork
from orchestrator.domain.webhooks.delivery import Delivery
from orchestrator.domain.webhooks.news import ping
from orchestrator.domain.webhooks.webhook import Webhook
from orchestrator.operations.requester import Created, Made, Requester, make_once
from shared.contracts.base import JsonObject
from shared.contracts.webhooks import WebhookSpec
from shared.kit.egress import Egress
from shared.kit.errors import Conflict, NotFound
from shared.kit.ids import new_id
from shared.kit.preconditions import require_match
from shared.kit.sealing import Sealer
from shared.kit.signatures import new_secret
from shared.kit.tasks import in_thread

_MOST = 100
"""Every move of every job is held against each of them."""
_REPLAYED = timedelta(days=1)
"""How long a repeated request is told the secret that the first one made."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A webhook, and its secret where it is told."""

    webhook: Webhook
    secret: str | None


def webhook_not_found() -> NotFound:
    """The answer for ids that are unknown."""
    return NotFound("there is no such webhook", code="webhook_not_found", param="webhookId")


def find_webhook(uow: UnitOfWork, webhook_id: str) -> Webhook:
    """The webhook, or NotFound."""
    webhook = uow.webhooks.find(webhook_id)
    if webhook is None:
        raise webhook_not_found()
    return webhook


def _hold(uow: UnitOfWork, webhook_id: str, if_match: str | None) -> Webhook:
    webhook = uow.webhooks.hold(webhook_id)
    if webhook is None:
        raise webhook_not_found()
    require_match(if_match, webhook.version, "the webhook")
    return webhook


def _told(webhook: Webhook) -> JsonObject:
    return {
        "url": webhook.url, "events": list(webhook.events), "project": webhook.project,
        "enabled": webhook.is_enabled, "version": webhook.version,
    }  # fmt: skip


def _audit(uow: UnitOfWork, by: By, action: str, before: Webhook | None, after: Webhook | None) -> None:
    subject = before or after
    assert subject is not None
    told_before, told_after = (None if one is None else _told(one) for one in (before, after))
    uow.audit.add(Change(by.at, by.who, f"{action}_webhook", _subject(subject), told_before, told_after))


def _subject(webhook: Webhook) -> str:
    return f"webhook:{webhook.webhook_id}"


class WebhookDesk:
    """What admins do with webhooks."""

    def __init__(self, units: UnitsOfWork, egress: Egress, sealer: Sealer, signals: Signals) -> None:
        self._units = units
        self._egress = egress
        self._sealer = sealer
        self._signals = signals

    async def make(self, spec: WebhookSpec, by: By, key: str | None) -> Created[Issued]:
        """A new webhook; EgressRefused for a URL that is not called, Conflict when the key named another request."""
        await self._egress.check(spec.url)
        return await in_thread(self._make, spec, by, key)

    def _make(self, spec: WebhookSpec, by: By, key: str | None) -> Created[Issued]:
        secret = new_secret()
        webhook = Webhook(
            webhook_id=new_id("wh"), url=spec.url, events=list(spec.events), project=spec.project,
            is_enabled=spec.enabled, secret=self._sealer.seal(secret), created_at=by.at, created_by=by.who,
            updated_at=by.at,
        )  # fmt: skip

        def make(uow: UnitOfWork) -> Made[Issued]:
            if uow.webhooks.find(webhook.webhook_id) is not None:
                # Run again after a commit whose word was lost: it was carried out.
                return Made(Issued(webhook, secret), _subject(webhook), "make_webhook", None)
            if len(uow.webhooks.all()) >= _MOST:
                raise Conflict(f"there are {_MOST} webhooks already; delete one first", code="too_many_webhooks")
            uow.webhooks.add(webhook)
            return Made(Issued(webhook, secret), _subject(webhook), "make_webhook", _told(webhook))

        def find(uow: UnitOfWork, webhook_id: str) -> Issued:
            found = find_webhook(uow, webhook_id)
            is_fresh = by.at - found.created_at < _REPLAYED and found.earlier_secret is None
            return Issued(found, self._sealer.unseal(found.secret) if is_fresh else None)

        digest = request_hash("webhook", spec.project or "", spec.model_dump(mode="json"))
        return make_once(self._units, Requester(by.who, idempotency_key=key), digest, by.at, find, make)

    async def change(self, webhook_id: str, spec: WebhookSpec, by: By, if_match: str | None) -> Webhook:
        """The webhook as it is now; enabling one forgets why it was disabled."""
        await self._egress.check(spec.url)

        def write(uow: UnitOfWork) -> Webhook:
            before = _hold(uow, webhook_id, if_match)
            after = replace(
                before, url=spec.url, events=list(spec.events), project=spec.project, is_enabled=spec.enabled,
                updated_at=by.at, version=before.version + 1,
            )  # fmt: skip
            if spec.enabled and not before.is_enabled:
                after = replace(after, failing_since=None, disabled_because=None)
            uow.webhooks.save(after)
            _audit(uow, by, "change", before, after)
            return after

        changed = await in_thread(self._units.write, write)
        self._signals.outbox_grew()
        return changed

    def delete(self, webhook_id: str, by: By, if_match: str | None) -> None:
        """With all its messages, sent or not."""

        def write(uow: UnitOfWork) -> None:
            before = _hold(uow, webhook_id, if_match)
            uow.webhooks.delete(webhook_id)
            _audit(uow, by, "delete", before, None)

        self._units.write(write)

    def rotate(self, webhook_id: str, by: By, overlap: timedelta) -> Issued:
        """A new secret; the one before it signs beside it for as long as `overlap`."""
        secret = new_secret()

        def write(uow: UnitOfWork) -> Issued:
            before = _hold(uow, webhook_id, None)
            after = replace(
                before, secret=self._sealer.seal(secret), earlier_secret=before.secret,
                earlier_until=by.at + overlap, updated_at=by.at, version=before.version + 1,
            )  # fmt: skip
            uow.webhooks.save(after)
            _audit(uow, by, "rotate_secret_of", before, after)
            return Issued(after, secret)

        return self._units.write(write)

    def test(self, webhook_id: str, by: By) -> Delivery:
        """Send a ping, the way every message goes."""

        def write(uow: UnitOfWork) -> Delivery:
            message = ping(_enabled(uow, webhook_id), by.at)
            uow.deliveries.add([message])
            return message

        return self._sent(self._units.write(write))

    def redeliver(self, webhook_id: str, delivery_id: str, by: By) -> Delivery:
        """Send an ended message again, under its own id; one that is still on its way is answered as it is."""

        def write(uow: UnitOfWork) -> Delivery:
            _enabled(uow, webhook_id)
            _delivery(uow, webhook_id, delivery_id)
            uow.deliveries.send_again(delivery_id, by.at)
            return _delivery(uow, webhook_id, delivery_id)

        return self._sent(self._units.write(write))

    def find_delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """The message, or NotFound."""
        return self._units.read(lambda uow: _delivery(uow, webhook_id, delivery_id))

    def _sent(self, message: Delivery) -> Delivery:
        self._signals.outbox_grew()
        return message


def _enabled(uow: UnitOfWork, webhook_id: str) -> Webhook:
    webhook = find_webhook(uow, webhook_id)
    if not webhook.is_enabled:
        raise Conflict("the webhook is disabled; enable it first", code="webhook_disabled")
    return webhook


def _delivery(uow: UnitOfWork, webhook_id: str, delivery_id: str) -> Delivery:
    found = uow.deliveries.find(webhook_id, delivery_id)
    if found is None:
        raise NotFound("there is no such delivery", code="delivery_not_found", param="deliveryId")
    return found
