"""Messages to webhooks in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from secrets import token_hex
from typing import Any

from sqlalchemy import Row, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.webhooks import DeliveryRow, WebhookRow
from orchestrator.domain.census import Backlog
from orchestrator.domain.webhooks.delivery import Claimed, Delivery
from shared.contracts.webhooks import DeliveryStatus

_T = table_of(DeliveryRow)
_D = _T.c
_EARLIER = _T.alias("earlier")
_W = table_of(WebhookRow).c
_FIELDS = [field.name for field in fields(Delivery)]
_PENDING = DeliveryStatus.PENDING.value
_NO_LEASE = {"lease_owner": None, "lease_token": None, "lease_expires_at": None}


def _delivery_of(row: Row[Any]) -> Delivery:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Delivery(**values | {"status": DeliveryStatus(row.status)})


def _is_due(now: datetime) -> Any:
    is_free = or_(_D.lease_token.is_(None), _D.lease_expires_at < now)
    return and_(_D.status == _PENDING, _D.next_try_at <= now, is_free)


def _is_first() -> Any:
    """Nothing about the same subject is pending before it."""
    earlier = _EARLIER.c
    same = (earlier.webhook_id == _D.webhook_id, earlier.subject == _D.subject, earlier.status == _PENDING)
    return ~exists().where(*same, earlier.sequence < _D.sequence)


class SqlDeliveries:
    """`DeliveryRepository` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, deliveries: Sequence[Delivery]) -> None:
        self._session.execute(insert(_T), [asdict(delivery) | _NO_LEASE for delivery in deliveries])

    def awaited(self, now: datetime) -> list[str]:
        has_due = exists().where(_D.webhook_id == _W.webhook_id, _is_due(now))
        return list(self._session.scalars(select(_W.webhook_id).where(_W.is_enabled.is_(True), has_due)))

    def claim(self, webhook_id: str, limit: int, owner: str, now: datetime, until: datetime) -> list[Claimed]:
        # Found first and then taken by primary key, as jobs are: replicas that race neither wait nor deadlock.
        due = (
            select(_D.delivery_id)
            .where(_D.webhook_id == webhook_id, _is_due(now), _is_first())
            .order_by(_D.next_try_at, _D.delivery_id)
            .limit(limit)
        )
        found = list(self._session.scalars(due))
        if not found:
            return []
        taken = select(_T).where(_D.delivery_id.in_(found), _is_due(now)).with_for_update(skip_locked=True)
        claimed = [Claimed(_delivery_of(row), token_hex(16)) for row in self._session.execute(taken)]
        for held in claimed:
            lease = {"lease_owner": owner, "lease_token": held.token, "lease_expires_at": until}
            self._session.execute(update(_T).where(_D.delivery_id == held.delivery.delivery_id).values(lease))
        return claimed

    def record(self, delivery: Delivery, token: str) -> bool:
        mine = update(_T).where(_D.delivery_id == delivery.delivery_id, _D.lease_token == token)
        written: Any = self._session.execute(mine.values(asdict(delivery) | _NO_LEASE))
        return bool(written.rowcount)

    def find(self, webhook_id: str, delivery_id: str) -> Delivery | None:
        query = select(_T).where(_D.delivery_id == delivery_id, _D.webhook_id == webhook_id)
        row = self._session.execute(query).one_or_none()
        return None if row is None else _delivery_of(row)

    def send_again(self, delivery_id: str, now: datetime) -> bool:
        ended = update(_T).where(_D.delivery_id == delivery_id, _D.status != _PENDING)
        written: Any = self._session.execute(
            ended.values(status=_PENDING, next_try_at=now, failures=0, ended_at=None, **_NO_LEASE)
        )
        return bool(written.rowcount)

    def page(self, webhook_id: str, status: DeliveryStatus | None, before: str | None, limit: int) -> list[Delivery]:
        query = select(_T).where(_D.webhook_id == webhook_id).order_by(_D.delivery_id.desc()).limit(limit)
        if status is not None:
            query = query.where(_D.status == status.value)
        if before is not None:
            query = query.where(_D.delivery_id < before)
        return [_delivery_of(row) for row in self._session.execute(query)]

    def release_all(self, owner: str) -> int:
        released: Any = self._session.execute(update(_T).where(_D.lease_owner == owner).values(_NO_LEASE))
        return int(released.rowcount)

    def backlog(self) -> Backlog:
        waiting = _D.webhook_id.in_(select(_W.webhook_id).where(_W.is_enabled.is_(True)))
        query = select(func.count(), func.min(_D.created_at)).where(_D.status == _PENDING, waiting)
        return Backlog(*self._session.execute(query).one())

    def delete_before(self, before: datetime, limit: int) -> int:
        old = list(self._session.scalars(select(_D.delivery_id).where(_D.created_at < before).limit(limit)))
        if old:
            self._session.execute(delete(_T).where(_D.delivery_id.in_(old)))
        return len(old)
