"""Jobs, attempts and reports for tests of the domain."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.job import Attempt, Inputs, Job
from shared.contracts.failures import FailureClass
from shared.contracts.jobs import Phase
from shared.contracts.work import (
    AttemptCause,
    AttemptState,
    AttemptView,
    ExitReport,
    Failure,
    JobKind,
    Outcome,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB_ID = "job-" + "0" * 26
MODEL = {"model": {"template": "default", "adapter": "b" * 64}}


def a_job(phase: Phase = Phase.RUNNING, **changes: Any) -> Job:
    """A training job on its first attempt."""
    job = Job(
        job_id=JOB_ID, kind=JobKind.TRAINING, worker="training", project="default", spec={}, inputs=Inputs(),
        phase=phase, why="as it is", created_at=NOW, updated_at=NOW, turn=NOW, max_retries=2, attempt=1, event_seq=3,
    )  # fmt: skip
    return replace(job, **changes)


def an_attempt(report: ExitReport | None = None) -> Attempt:
    """The first attempt, ended when there is a report."""
    return Attempt(JOB_ID, 1, AttemptCause.FIRST, NOW, "training", None if report is None else NOW, report)


def a_report(outcome: Outcome, **fields: Any) -> ExitReport:
    """How an attempt ended."""
    return ExitReport(outcome=outcome, ended_at=NOW, **fields)


def a_view(state: AttemptState = AttemptState.RUNNING, report: ExitReport | None = None) -> AttemptView:
    """What a worker says."""
    return AttemptView(attempt_id=f"{JOB_ID}.1", state=state, exit=report)


def a_failure(kind: FailureClass = FailureClass.INFRASTRUCTURE, *, retryable: bool = True) -> Failure:
    """Why an attempt failed."""
    return Failure(failure_class=kind, reason="engine_killed", message="signal 9", retryable=retryable)
