"""`/api/webhooks`: who is told of jobs over HTTP, and what became of each message; admins only."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Response

from orchestrator.api.created import mark_created
from orchestrator.api.pagination import PageSize
from orchestrator.dependencies import CallerDep, Clocked, IdempotencyKeyHeader, Units, WebhookDeskDep
from orchestrator.domain.audit import By
from orchestrator.domain.webhooks.delivery import Delivery
from orchestrator.domain.webhooks.webhook import Webhook
from orchestrator.operations.webhooks import Issued, find_webhook
from shared.contracts.webhooks import (
    DeliveryId,
    DeliveryPage,
    DeliveryStatus,
    DeliveryView,
    WebhookId,
    WebhookList,
    WebhookSpec,
    WebhookView,
    WebhookWithSecret,
)
from shared.kit.application import api_router
from shared.kit.auth import require_admin
from shared.kit.preconditions import IfMatch, tell_tag

routes = api_router("/api/webhooks", "webhooks")


async def _admin(caller: CallerDep, clock: Clocked) -> By:
    require_admin(caller)
    return By(caller.name, clock.now())


Admin = Annotated[By, Depends(_admin)]
Named = Annotated[WebhookId, Path()]
Message = Annotated[DeliveryId, Path()]
Overlap = Annotated[int, Query(ge=0, le=168, alias="overlapHours", description="how long the old secret signs too")]
Cursor = Annotated[str | None, Query(pattern=r"^msg-[0-9a-z]{26}$", description="`nextCursor` of the page before")]


def _fields(webhook: Webhook) -> dict[str, Any]:
    told = asdict(webhook) | {"enabled": webhook.is_enabled}
    return {name: told[name] for name in WebhookView.model_fields}


def _answer(webhook: Webhook, response: Response) -> WebhookView:
    tell_tag(response, webhook.version)
    return WebhookView.model_validate(_fields(webhook))


def _with_secret(issued: Issued, response: Response) -> WebhookWithSecret:
    tell_tag(response, issued.webhook.version)
    response.headers["cache-control"] = "no-store"
    return WebhookWithSecret.model_validate(_fields(issued.webhook) | {"secret": issued.secret})


def _message(delivery: Delivery) -> DeliveryView:
    is_pending = delivery.status is DeliveryStatus.PENDING
    return DeliveryView(
        delivery_id=delivery.delivery_id, event_type=delivery.event_type, job_id=delivery.job_id,
        status=delivery.status, attempts=delivery.attempts, last_status=delivery.last_status,
        last_error=delivery.last_error, next_try_at=delivery.next_try_at if is_pending else None,
        created_at=delivery.created_at, ended_at=delivery.ended_at, payload=json.loads(delivery.body),
    )  # fmt: skip


@routes.get("")
def list_all(units: Units, by: Admin) -> WebhookList:
    """Every webhook, and how it does."""
    del by
    found = units.read(lambda uow: uow.webhooks.all())
    return WebhookList(data=[WebhookView.model_validate(_fields(webhook)) for webhook in found])


@routes.post("", status_code=201)
async def make(
    spec: WebhookSpec, desk: WebhookDeskDep, by: Admin, response: Response, key: IdempotencyKeyHeader = None
) -> WebhookWithSecret:
    """Tell a receiver of jobs from now on; the answer has the secret that its messages are signed with."""
    made = await desk.make(spec, by, key)
    mark_created(response, f"/api/webhooks/{made.thing.webhook.webhook_id}", is_replay=made.is_replay)
    return _with_secret(made.thing, response)


@routes.get("/{webhook_id}")
def get_one(webhook_id: Named, units: Units, by: Admin, response: Response) -> WebhookView:
    """A webhook, and how it does."""
    del by
    return _answer(units.read(lambda uow: find_webhook(uow, webhook_id)), response)


@routes.put("/{webhook_id}")
async def put(
    webhook_id: Named,
    spec: WebhookSpec,
    desk: WebhookDeskDep,
    by: Admin,
    response: Response,
    if_match: IfMatch = None,
) -> WebhookView:
    """Change it; enabling it sends what waited. `If-Match` refuses what somebody else changed meanwhile."""
    return _answer(await desk.change(webhook_id, spec, by, if_match), response)


@routes.delete("/{webhook_id}", status_code=204)
def delete(webhook_id: Named, desk: WebhookDeskDep, by: Admin, if_match: IfMatch = None) -> None:
    """Delete it with its messages, sent or not."""
    desk.delete(webhook_id, by, if_match)


@routes.post("/{webhook_id}/rotate")
def rotate(
    webhook_id: Named, desk: WebhookDeskDep, by: Admin, response: Response, overlap_h: Overlap = 24
) -> WebhookWithSecret:
    """Make a new secret; messages carry a signature of the old one too for a while."""
    return _with_secret(desk.rotate(webhook_id, by, timedelta(hours=overlap_h)), response)


@routes.post("/{webhook_id}/test", status_code=202)
def test(webhook_id: Named, desk: WebhookDeskDep, by: Admin) -> DeliveryView:
    """Send a `ping`; its delivery tells what became of it."""
    return _message(desk.test(webhook_id, by))


@routes.get("/{webhook_id}/deliveries")
def deliveries(
    webhook_id: Named,
    units: Units,
    by: Admin,
    status: DeliveryStatus | None = None,
    cursor: Cursor = None,
    limit: PageSize = 50,
) -> DeliveryPage:
    """Its messages, newest first: how often each was sent, what was answered, when it is tried next."""
    del by
    units.read(lambda uow: find_webhook(uow, webhook_id))
    found = units.read(lambda uow: uow.deliveries.page(webhook_id, status, cursor, limit + 1))
    shown, has_more = found[:limit], len(found) > limit
    return DeliveryPage(
        data=[_message(delivery) for delivery in shown], has_more=has_more,
        next_cursor=shown[-1].delivery_id if has_more else None,
    )  # fmt: skip


@routes.get("/{webhook_id}/deliveries/{delivery_id}")
def delivery(webhook_id: Named, delivery_id: Message, desk: WebhookDeskDep, by: Admin) -> DeliveryView:
    """One message."""
    del by
    return _message(desk.find_delivery(webhook_id, delivery_id))


@routes.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=202)
def redeliver(webhook_id: Named, delivery_id: Message, desk: WebhookDeskDep, by: Admin) -> DeliveryView:
    """Send it again, under the same `webhook-id`."""
    return _message(desk.redeliver(webhook_id, delivery_id, by))
