"""Webhooks in SQL."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.webhooks import DeliveryRow, WebhookRow
from orchestrator.domain.webhooks.webhook import Webhook

_T = table_of(WebhookRow)
_W = _T.c
_FIELDS = [field.name for field in fields(Webhook)]


def _webhook_of(row: Row[Any]) -> Webhook:
    return Webhook(**{name: getattr(row, name) for name in _FIELDS})


class SqlWebhooks:
    """`WebhookRepository` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, webhook: Webhook) -> None:
        self._session.execute(insert(_T), asdict(webhook))

    def find(self, webhook_id: str) -> Webhook | None:
        row = self._session.execute(select(_T).where(_W.webhook_id == webhook_id)).one_or_none()
        return None if row is None else _webhook_of(row)

    def hold(self, webhook_id: str) -> Webhook | None:
        query = select(_T).where(_W.webhook_id == webhook_id).with_for_update()
        row = self._session.execute(query).one_or_none()
        return None if row is None else _webhook_of(row)

    def all(self) -> list[Webhook]:
        return [_webhook_of(row) for row in self._session.execute(select(_T).order_by(_W.webhook_id))]

    def listening(self) -> list[Webhook]:
        return [_webhook_of(row) for row in self._session.execute(select(_T).where(_W.is_enabled.is_(True)))]

    def save(self, webhook: Webhook) -> None:
        self._session.execute(update(_T).where(_W.webhook_id == webhook.webhook_id).values(asdict(webhook)))

    def delete(self, webhook_id: str) -> None:
        deliveries = table_of(DeliveryRow)
        self._session.execute(delete(_T).where(_W.webhook_id == webhook_id))
        self._session.execute(delete(deliveries).where(deliveries.c.webhook_id == webhook_id))

    def note_success(self, webhook_id: str) -> None:
        failing = update(_T).where(_W.webhook_id == webhook_id, _W.failing_since.is_not(None))
        self._session.execute(failing.values(failing_since=None))

    def note_failure(self, webhook_id: str, now: datetime) -> None:
        well = update(_T).where(_W.webhook_id == webhook_id, _W.failing_since.is_(None))
        self._session.execute(well.values(failing_since=now))
