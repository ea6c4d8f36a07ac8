"""Carries messages to webhooks: at least once, in order about each job, and no receiver delays another."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

from orchestrator.domain.audit import Change
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.domain.webhooks.delivery import Claimed, Delivery
from orchestrator.domain.webhooks.verdicts import Answer, Patience, after_answer, why_disabled
from orchestrator.domain.webhooks.webhook import Webhook
from orchestrator.reconciler.gauges import count_delivery
from shared.contracts.base import JsonObject
from shared.contracts.webhooks import DeliveryStatus
from shared.kit.bell import Bell
from shared.kit.clock import Clock
from shared.kit.egress import Egress, EgressRefused, NoAnswer
from shared.kit.logs import logger
from shared.kit.sealing import Sealer, Unsealable
from shared.kit.signatures import signed_headers
from shared.kit.tasks import end_tasks, in_thread

_AT_ONCE = 4
"""Messages on their way to one webhook from one replica."""
_IDLE_S = 2.0
_LEASE = timedelta(seconds=60)
"""Longer than any try takes."""
_AUTHOR = "imts"
"""Who the audit says disabled a webhook."""
_UNREADABLE = "its secret cannot be read, because the service secret is another one by now: rotate it and enable it"


@dataclass(frozen=True, slots=True)
class Sent:
    """A try, and what came of it."""

    held: Claimed
    answer: Answer
    disabled_because: str | None = None


class Courier:
    """One replica's courier; leases keep two from sending the same message."""

    def __init__(
        self,
        units: UnitsOfWork,
        egress: Egress,
        sealer: Sealer,
        clock: Clock,
        bell: Bell,
        owner: str,
        patience: Patience,
    ) -> None:
        self._units = units
        self._egress = egress
        self._sealer = sealer
        self._clock = clock
        self._bell = bell
        self._owner = owner
        self._patience = patience
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: Counter[str] = Counter()

    async def run(self) -> None:
        """For ever; messages under way at a shutdown are sent again by whoever comes next."""
        await in_thread(self._units.write, lambda uow: uow.deliveries.release_all(self._owner))
        try:
            while True:
                await self.turn()
                await self._bell.wait(_IDLE_S)
        finally:
            await end_tasks(self._tasks)

    async def turn(self) -> None:
        """Take what is due and send it beside this loop."""
        now = self._clock.now()
        awaited = await in_thread(self._units.read, lambda uow: uow.deliveries.awaited(now))
        for webhook_id in awaited:
            room = _AT_ONCE - self._under_way[webhook_id]
            if room <= 0:
                continue
            for webhook, held in await in_thread(self._claim, webhook_id, room):
                self._under_way[webhook_id] += 1
                task = asyncio.create_task(self._carry(webhook, held), name=f"deliver {held.delivery.delivery_id}")
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _claim(self, webhook_id: str, room: int) -> list[tuple[Webhook, Claimed]]:
        def work(uow: UnitOfWork) -> list[tuple[Webhook, Claimed]]:
            webhook = uow.webhooks.find(webhook_id)
            if webhook is None or not webhook.is_enabled:
                return []
            now = self._clock.now()
            taken = uow.deliveries.claim(webhook_id, room, self._owner, now, now + _LEASE)
            return [(webhook, held) for held in taken]

        return self._units.write(work)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            logger.opt(exception=fault).warning("{} is not on record; its lease runs out", task.get_name())

    async def _carry(self, webhook: Webhook, held: Claimed) -> None:
        try:
            sent = await self._send(webhook, held)
            after = await in_thread(self._units.write, lambda uow: self._record(uow, sent))
        finally:
            self._under_way[webhook.webhook_id] -= 1
            self._bell.ring()
        if after is None:
            logger.info("message {} was taken over by another replica", held.delivery.delivery_id)
            return
        count_delivery(after)
        if after.status is DeliveryStatus.PENDING:
            logger.info("message {} will be tried again: {}", after.delivery_id, after.last_error)
            wait_s = (after.next_try_at - self._clock.now()).total_seconds()
            asyncio.get_running_loop().call_later(max(wait_s, 0.0), self._bell.ring)

    async def _send(self, webhook: Webhook, held: Claimed) -> Sent:
        message, now = held.delivery, self._clock.now()
        body = message.body.encode()
        try:
            keys = [self._sealer.unseal(secret) for secret in webhook.sealed_secrets(now)]
        except Unsealable:
            return Sent(held, Answer(error=_UNREADABLE, is_refused=True), _UNREADABLE)
        headers = signed_headers(keys, message.delivery_id, int(now.timestamp()), body)
        try:
            reply = await self._egress.post(webhook.url, {**headers, "content-type": "application/json"}, body)
        except EgressRefused as fault:
            answer = Answer(error=fault.message, is_refused=True)
        except NoAnswer as fault:
            answer = Answer(error=str(fault))
        else:
            answer = Answer(reply.status, retry_after=reply.headers.get("retry-after"))
        return Sent(held, answer)

    def _record(self, uow: UnitOfWork, sent: Sent) -> Delivery | None:
        now, message = self._clock.now(), sent.held.delivery
        after = after_answer(message, sent.answer, now, self._patience, random.random())  # noqa: S311
        if not uow.deliveries.record(after, sent.held.token):
            return None
        if sent.answer.is_success:
            uow.webhooks.note_success(message.webhook_id)
            return after
        uow.webhooks.note_failure(message.webhook_id, now)
        webhook = uow.webhooks.hold(message.webhook_id)
        if webhook is not None and webhook.is_enabled:
            because = sent.disabled_because or why_disabled(webhook, sent.answer, now, self._patience)
            if because is not None:
                disabled = replace(
                    webhook, is_enabled=False, disabled_because=because, updated_at=now, version=webhook.version + 1
                )
                uow.webhooks.save(disabled)
                before: JsonObject = {"enabled": True}
                told: JsonObject = {"enabled": False, "why": because}
                uow.audit.add(Change(now, _AUTHOR, "disable_webhook", f"webhook:{webhook.webhook_id}", before, told))
        return after
