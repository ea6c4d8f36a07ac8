"""What answers make of a message: when it is sent again, when it is given up, when its webhook is disabled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.webhooks.delivery import Delivery
from orchestrator.domain.webhooks.verdicts import Answer, Patience, after_answer, why_disabled
from orchestrator.domain.webhooks.webhook import Webhook
from shared.contracts.webhooks import DeliveryStatus

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PATIENCE = Patience()
MESSAGE = Delivery("msg-1", "wh-1", "job-1", 1, "job.failed", "{}", NOW, NOW)
WEBHOOK = Webhook("wh-1", "https://x.test/", ["job.failed"], None, True, "sealed", NOW, "admin", NOW)
DOWN = Answer(error="no connection")


def waits(answer: Answer, failures: int = 0, chance: float = 0.5) -> float:
    """Seconds until the next try."""
    after = after_answer(replace(MESSAGE, failures=failures), answer, NOW, PATIENCE, chance)
    assert after.status is DeliveryStatus.PENDING
    return (after.next_try_at - NOW).total_seconds()


def lives(answer: Answer) -> tuple[int, float]:
    """How often a message is sent when every answer is this one, and after how many hours the last time."""
    message, now = MESSAGE, NOW
    while message.status is DeliveryStatus.PENDING:
        now = message.next_try_at
        message = after_answer(message, answer, now, PATIENCE, 0.5)
    assert message.status is DeliveryStatus.FAILED
    return message.attempts, (now - NOW).total_seconds() / 3600


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    after = after_answer(replace(MESSAGE, failures=3), Answer(status), NOW, PATIENCE, 0.5)
    assert (after.status, after.failures, after.last_error, after.ended_at) == (DeliveryStatus.DELIVERED, 0, None, NOW)


@pytest.mark.parametrize("answer", [DOWN, Answer(500), Answer(503), Answer(429), Answer(408), Answer(425)])
def test_what_may_pass_is_tried_for_a_day(answer: Answer) -> None:
    tries, hours = lives(answer)
    assert tries == 11
    assert 23 < hours < 25


@pytest.mark.parametrize(
    "answer", [Answer(400), Answer(401), Answer(404), Answer(302), Answer(199), Answer(error="no", is_refused=True)]
)
def test_what_will_not_pass_is_given_up_soon(answer: Answer) -> None:
    tries, hours = lives(answer)
    assert tries == 6
    assert 5 / 60 < hours < 15 / 60


def test_pauses_grow_threefold_and_end_at_ten_hours() -> None:
    pauses = [waits(DOWN, failures) for failures in range(10)]
    assert pauses[:4] == [5, 15, 45, 135]
    assert pauses[-1] == 36_000


def test_receivers_that_failed_together_are_tried_apart() -> None:
    assert waits(DOWN, chance=0.0) == pytest.approx(4.0)
    assert waits(DOWN, chance=1.0) == pytest.approx(6.0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_names_a_time_is_left_alone_until_then(status: int) -> None:
    assert waits(Answer(status, retry_after="120")) == 120
    assert waits(Answer(status, retry_after="Fri, 01 May 2026 12:10:00 GMT")) == 600


@pytest.mark.parametrize("named", ["1", "-5", "soon", "", "99999999999999999999", "Fri, 01 May 2020 12:00:00 GMT"])
def test_a_time_that_is_past_absurd_or_no_time_changes_little(named: str) -> None:
    assert 5 <= waits(Answer(429, retry_after=named)) <= 24 * 3600


def test_the_time_of_another_status_is_not_heeded() -> None:
    assert waits(Answer(500, retry_after="120")) == 5


def test_410_ends_message_and_webhook() -> None:
    assert after_answer(MESSAGE, Answer(410), NOW, PATIENCE, 0.5).status is DeliveryStatus.FAILED
    assert why_disabled(WEBHOOK, Answer(410), NOW, PATIENCE) == "the receiver answered 410 Gone"


def test_a_webhook_is_disabled_when_nothing_arrived_for_three_days() -> None:
    assert why_disabled(WEBHOOK, DOWN, NOW, PATIENCE) is None
    recent = replace(WEBHOOK, failing_since=NOW - timedelta(days=2, hours=23))
    assert why_disabled(recent, DOWN, NOW, PATIENCE) is None
    long = replace(WEBHOOK, failing_since=NOW - timedelta(days=3))
    assert why_disabled(long, Answer(200), NOW, PATIENCE) is None
    assert why_disabled(long, DOWN, NOW, PATIENCE) == (
        "every message since 2026-04-28 12:00 UTC failed; the last one: no connection"
    )
