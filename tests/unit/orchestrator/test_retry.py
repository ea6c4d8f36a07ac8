"""Who pays for a failed attempt."""

import pytest

from orchestrator.domain.conclusions import conclude
from orchestrator.domain.retry import Again, Final, after_exit, backoff_s
from shared.contracts.failures import FailureClass
from shared.contracts.jobs import Phase
from shared.contracts.work import AttemptCause, Outcome
from tests.unit.orchestrator.jobs import a_failure, a_job, a_report


@pytest.mark.parametrize("kind", [FailureClass.PLATFORM, FailureClass.INFRASTRUCTURE, FailureClass.UNKNOWN])
def test_a_retryable_failure_spends_a_retry(kind: FailureClass) -> None:
    step = after_exit(a_report(Outcome.FAILED, failure=a_failure(kind)), 0, 2, 2.0)
    assert isinstance(step, Again)
    assert (step.cause, step.spends, step.delay_s) == (AttemptCause.RETRY, True, 2.0)


def test_a_users_fault_is_final_whatever_it_says_of_itself() -> None:
    assert isinstance(after_exit(a_report(Outcome.FAILED, failure=a_failure(FailureClass.USER)), 0, 2, 2.0), Final)


def test_what_is_not_retryable_is_final() -> None:
    report = a_report(Outcome.FAILED, failure=a_failure(retryable=False))
    assert isinstance(after_exit(report, 0, 2, 2.0), Final)


def test_a_failure_that_says_nothing_is_final() -> None:
    step = after_exit(a_report(Outcome.FAILED), 0, 2, 2.0)
    assert isinstance(step, Final)
    assert step.failure.reason == "unknown"


def test_a_spent_budget_is_final() -> None:
    step = after_exit(a_report(Outcome.WORKER_LOST), 2, 2, 2.0)
    assert isinstance(step, Final)
    assert "after 2 of 2 retries" in step.why


def test_preemption_is_free_and_immediate() -> None:
    step = after_exit(a_report(Outcome.PREEMPTED), 2, 2, 2.0)
    assert isinstance(step, Again)
    assert (step.cause, step.spends, step.delay_s) == (AttemptCause.PREEMPTED, False, 0.0)


def test_waits_double_up_to_a_minute() -> None:
    assert [backoff_s(2.0, spent) for spent in range(7)] == [2, 4, 8, 16, 32, 60, 60]


def test_a_retry_is_counted_on_the_job() -> None:
    end = conclude(a_job(), a_report(Outcome.WORKER_LOST), 2.0)
    assert end.to is Phase.QUEUED
    assert end.changes == {"retries_spent": 1, "next_cause": AttemptCause.RETRY}
    assert "retry 1 of 2 in 2 s" in end.why
