"""What the end of an attempt means for its job."""

from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.job import Job
from orchestrator.domain.retry import Again, Final, after_exit
from shared.contracts.exports import makes_model
from shared.contracts.failures import Reason
from shared.contracts.jobs import Phase
from shared.contracts.models import ModelPurpose
from shared.contracts.work import AttemptCause, ExitReport, Failure, JobKind, Outcome

_PURPOSES = frozenset(ModelPurpose)
_ROOM_PAUSE_S = 1.0
"""Before a job that a worker refused stands in line again."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The phase that follows, with the fields that change on the way."""

    to: Phase
    why: str
    changes: dict[str, Any] = field(default_factory=dict)
    delay_s: float = 0.0


def conclude(job: Job, report: ExitReport, retry_backoff_s: float) -> Conclusion:
    """The job's phase after its newest attempt ended; a user's stop outranks everything but success."""
    if report.outcome is Outcome.SUCCEEDED and not (job.phase is Phase.STOPPING and _lacks_model(job, report)):
        return _after_success(job, report)
    if job.phase is Phase.STOPPING or report.outcome is Outcome.STOPPED:
        return Conclusion(Phase.STOPPED, f"stopped during attempt {job.attempt}", {"failure": stopped(report)})
    if report.outcome is Outcome.PAUSED:
        return _paused(job)
    step = _after(job, report, retry_backoff_s)
    if isinstance(step, Final):
        return Conclusion(Phase.FAILED, step.why, {"failure": step.failure})
    changes = {"retries_spent": job.retries_spent + step.spends, "next_cause": step.cause}
    if job.phase is Phase.PAUSING:
        return Conclusion(Phase.PAUSED, f"paused; attempt {job.attempt} ended first ({report.outcome})", changes)
    why = f"attempt {job.attempt} ended ({report.outcome}): {step.why}"
    return Conclusion(Phase.QUEUED, why, changes, step.delay_s)


def _after(job: Job, report: ExitReport, retry_backoff_s: float) -> Again | Final:
    if report.outcome is Outcome.REFUSED:
        return Again(job.next_cause, _ROOM_PAUSE_S, spends=False, why="the worker had no room for it")
    return after_exit(report, job.retries_spent, job.max_retries, retry_backoff_s)


def _paused(job: Job) -> Conclusion:
    changes = {"next_cause": AttemptCause.RESUME}
    return Conclusion(Phase.PAUSED, f"paused during attempt {job.attempt}; resume goes on from here", changes)


def stopped(report: ExitReport | None = None) -> Failure:
    """A stop as a failure: whoever reads why a job has no result finds the user's own wish."""
    if report is not None and report.failure is not None and report.failure.reason == Reason.STOPPED_BY_USER:
        return report.failure
    return Failure.of(Reason.STOPPED_BY_USER)


def _after_success(job: Job, report: ExitReport) -> Conclusion:
    if _lacks_model(job, report):
        failure = Failure.of(Reason.NO_MODEL_MADE)
        return Conclusion(Phase.FAILED, f"{failure.reason}: {failure.message}", {"failure": failure})
    return Conclusion(
        Phase.SUCCEEDED, f"attempt {job.attempt} succeeded", {"result": report.result, "fraction": 1.0, "failure": None}
    )


def _lacks_model(job: Job, report: ExitReport) -> bool:
    return is_model_maker(job) and not has_model(report)


def is_model_maker(job: Job) -> bool:
    """Whether its success is a new model version."""
    return job.kind is JobKind.TRAINING or (job.kind is JobKind.EXPORT and makes_model(job.spec))


def has_model(report: ExitReport) -> bool:
    """Whether the report names stored weights, the template to talk to them, and a purpose that is known here."""
    model = report.result.get("model")
    if not isinstance(model, dict) or model.get("purpose", ModelPurpose.CHAT) not in _PURPOSES:
        return False
    return bool(model.get("template")) and bool(model.get("base") or model.get("adapter"))
