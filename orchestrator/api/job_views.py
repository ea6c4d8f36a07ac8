"""Jobs, moves and attempts as the API answers them."""

from dataclasses import asdict

from starlette.responses import Response

from orchestrator.api.created import mark_created
from orchestrator.domain.job import Attempt, HistoryEntry, Job
from orchestrator.domain.queueing.explaining import Explained
from orchestrator.operations.submit import Submitted
from shared.contracts.jobs import AttemptSummary, FailureView, JobView, Move, QueueView
from shared.contracts.work import Failure


def job_view(job: Job, explained: Explained | None = None) -> JobView:
    """The answer about a job; a waiting one says what it waits for now where that was asked."""
    return JobView(
        job_id=job.job_id, kind=job.kind, project=job.project, status=job.phase, why=_why(job, explained),
        attempt=job.attempt, progress=job.fraction, current_step=job.current_step, total_steps=job.total_steps,
        metrics=job.metrics, spec=job.spec, result=job.result, failure=_failure(job.failure), retry_of=job.retry_of,
        cloned_from=job.cloned_from, sweep_id=job.sweep, trial=job.trial, parameters=job.parameters,
        scheduling=job.terms, queue=None if explained is None else QueueView.model_validate(asdict(explained)),
        worker=job.placed_on, unreachable_since=job.unreachable_since, created_at=job.created_at,
        updated_at=job.updated_at, started_at=job.started_at, ended_at=job.ended_at,
    )  # fmt: skip


def _failure(failure: Failure | None) -> FailureView | None:
    return None if failure is None else FailureView.model_validate(failure.model_dump())


def _why(job: Job, explained: Explained | None) -> str:
    if explained is None or explained.why == job.why:
        return job.why
    return f"{explained.why} ({job.why})" if job.attempt else explained.why


def answer(submitted: Submitted, response: Response) -> JobView:
    """The 202 of a creating POST: where the job is found, and whether the key was used before."""
    job = submitted.job
    mark_created(response, f"/api/jobs/{job.job_id}", is_replay=not submitted.is_new)
    return job_view(job)


def move_of(entry: HistoryEntry) -> Move:
    """One row of a job's history."""
    return Move(
        at=entry.at, from_status=entry.from_phase, to_status=entry.to_phase, why=entry.why, attempt=entry.attempt
    )


def attempt_of(attempt: Attempt) -> AttemptSummary:
    """One try at a job."""
    report = attempt.exit
    return AttemptSummary(
        attempt_id=attempt.attempt_id, number=attempt.number, cause=attempt.cause, worker=attempt.worker,
        outcome=None if report is None else report.outcome,
        failure=None if report is None else _failure(report.failure),
        created_at=attempt.created_at, ended_at=attempt.ended_at,
    )  # fmt: skip
