"""What a move of a job is to each webhook: nothing, or one message."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import Moved
from orchestrator.domain.webhooks.delivery import Delivery
from orchestrator.domain.webhooks.webhook import Webhook
from shared.contracts.base import JsonObject
from shared.contracts.jobs import TERMINAL
from shared.kit.ids import new_id

PHASE_CHANGED = "job.phase_changed"
PING = "ping"


def type_for(webhook: Webhook, job: Job) -> str | None:
    """Under which name this webhook hears of the job's phase; None when it does not."""
    if webhook.project not in (None, job.project):
        return None
    named = f"job.{job.phase}"
    if job.phase in TERMINAL and named in webhook.events:
        return named
    return PHASE_CHANGED if PHASE_CHANGED in webhook.events else None


def messages_of(webhooks: Sequence[Webhook], steps: Sequence[Moved]) -> list[Delivery]:
    """One message for each webhook that wants to hear of a step."""
    return [
        _message(webhook, news, step.entry.at, _told(step), step.job.job_id, step.job.event_seq)
        for step in steps
        for webhook in webhooks
        if (news := type_for(webhook, step.job)) is not None
    ]


def ping(webhook: Webhook, now: datetime) -> Delivery:
    """A message that tells of nothing."""
    return _message(webhook, PING, now, {"webhookId": webhook.webhook_id})


def _told(step: Moved) -> JsonObject:
    job, failed = step.job, step.job.failure
    failure: JsonObject | None = None
    if failed is not None:
        failure = {"class": failed.failure_class.value, "reason": failed.reason}
    return {
        "jobId": job.job_id, "kind": job.kind.value, "project": job.project, "status": job.phase.value,
        "fromStatus": step.entry.from_phase and step.entry.from_phase.value, "why": job.why, "attempt": job.attempt,
        "sequence": job.event_seq,
        "failure": failure,
    }  # fmt: skip


def _message(
    webhook: Webhook, event_type: str, at: datetime, data: JsonObject, job_id: str | None = None, sequence: int = 0
) -> Delivery:
    message_id = new_id("msg")
    moment = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = json.dumps({"type": event_type, "timestamp": moment, "data": data}, separators=(",", ":"))
    return Delivery(
        message_id, webhook.webhook_id, job_id or message_id, sequence, event_type, body, created_at=at, next_try_at=at
    )
