"""What an answer, or none, makes of a message and of its webhook."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from orchestrator.domain.webhooks.delivery import Delivery
from orchestrator.domain.webhooks.webhook import Webhook
from shared.contracts.webhooks import DeliveryStatus

_GROWTH = 3.0
_LARGEST = 7200.0
"""Times the first delay: 5 s grow to 10 h."""
_TRIES = 11
"""With 5 s at first, the last one comes after 24 h."""
_TRIES_REFUSED = 6
"""Of what is not likely to change by waiting; the last one comes after 10 min."""
_JITTER = 0.2
_LONGEST_PAUSE = timedelta(hours=24)
_GONE = 410
_LATER = frozenset({408, 425, 429})
_HEEDED = frozenset({429, 503})
"""Whose `Retry-After` counts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a receiver: a status, or a sentence that says why there is none."""

    status: int | None = None
    error: str | None = None
    retry_after: str | None = None
    is_refused: bool = False
    """By our own rules: nothing was sent."""

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more, ever."""
        return self.status == _GONE

    @property
    def may_pass(self) -> bool:
        """Whether waiting is likely to help."""
        if self.status is None:
            return not self.is_refused
        return self.status >= 500 or self.status in _LATER


@dataclass(frozen=True, slots=True)
class Patience:
    """How long failures are put up with."""

    first_delay_s: float = 5.0
    until_disabled: timedelta = timedelta(days=3)


def after_answer(delivery: Delivery, answer: Answer, now: datetime, patience: Patience, chance: float) -> Delivery:
    """The message after a try; `chance` between 0 and 1 spreads receivers that failed together."""
    tried = replace(delivery, attempts=delivery.attempts + 1, last_status=answer.status, last_error=_sentence(answer))
    if answer.is_success:
        return replace(tried, status=DeliveryStatus.DELIVERED, failures=0, ended_at=now)
    failures = delivery.failures + 1
    tried = replace(tried, failures=failures)
    if answer.is_gone or failures >= (_TRIES if answer.may_pass else _TRIES_REFUSED):
        return replace(tried, status=DeliveryStatus.FAILED, ended_at=now)
    return replace(tried, next_try_at=now + _pause(failures, answer, now, patience, chance))


def why_disabled(webhook: Webhook, answer: Answer, now: datetime, patience: Patience) -> str | None:
    """Why nothing more is sent to the webhook after this answer; None while it goes on."""
    if answer.is_gone:
        return "the receiver answered 410 Gone"
    since = webhook.failing_since
    if not answer.is_success and since is not None and now - since >= patience.until_disabled:
        return f"every message since {since:%Y-%m-%d %H:%M} UTC failed; the last one: {_sentence(answer)}"
    return None


def _sentence(answer: Answer) -> str | None:
    if answer.is_success:
        return None
    return answer.error or f"the receiver answered {answer.status}"


def _pause(failures: int, answer: Answer, now: datetime, patience: Patience, chance: float) -> timedelta:
    scheduled = patience.first_delay_s * min(_GROWTH ** (failures - 1), _LARGEST)
    pause = timedelta(seconds=scheduled * (1 - _JITTER + 2 * _JITTER * chance))
    if answer.status in _HEEDED and answer.retry_after:
        pause = max(pause, _asked(answer.retry_after, now))
    return min(pause, _LONGEST_PAUSE)


def _asked(retry_after: str, now: datetime) -> timedelta:
    """Seconds or a date; nothing when it is neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=min(int(retry_after[:9]), 10**6))
    try:
        return max(parsedate_to_datetime(retry_after) - now, timedelta())
    except (ValueError, TypeError):
        return timedelta()
