"""How long a job may wait, run and be silent, and what it means when it was too long."""

from datetime import datetime, timedelta

from orchestrator.domain.job import Attempt, Job
from shared.contracts.failures import Reason
from shared.contracts.jobs import Phase
from shared.contracts.work import AttemptView, ExitReport, Failure, Outcome


def queue_deadline(job: Job) -> datetime | None:
    """Until when the job waits for its first attempt."""
    if job.attempt or job.terms.queue_timeout_s is None:
        return None
    return job.created_at + timedelta(seconds=job.terms.queue_timeout_s)


def waited_too_long(job: Job, now: datetime) -> Failure | None:
    """What a queued job fails with by now, if anything."""
    deadline = queue_deadline(job)
    if deadline is None or now < deadline:
        return None
    return Failure.of(Reason.QUEUE_TIMEOUT, f"the job waited {job.terms.queue_timeout_s:g} s without a first attempt")


def ran_too_long(job: Job, attempt: Attempt, view: AttemptView, now: datetime) -> Failure | None:
    """What a living attempt is to be ended for by now, if anything."""
    longest = job.terms.run_timeout_s
    if longest is not None and (now - attempt.created_at).total_seconds() >= longest:
        return Failure.of(Reason.RUN_TIMEOUT, f"attempt {attempt.number} ran for {longest:g} s, the most it may")
    silence = job.terms.no_progress_timeout_s
    if silence is not None and job.phase is Phase.RUNNING and view.idle_s is not None and view.idle_s >= silence:
        return Failure.of(Reason.NO_PROGRESS, f"attempt {attempt.number} wrote no event for {silence:g} s")
    return None


def judged(report: ExitReport, verdict: Failure | None) -> ExitReport:
    """How the attempt ended: one that was ended for cause failed for it, unless it succeeded first."""
    if verdict is None or report.outcome is Outcome.SUCCEEDED:
        return report
    return report.model_copy(update={"outcome": Outcome.FAILED, "failure": verdict})
