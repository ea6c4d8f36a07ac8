"""Whether an attempt's end is worth another attempt, and when."""

from dataclasses import dataclass

from shared.contracts.failures import FailureClass, Reason
from shared.contracts.work import AttemptCause, ExitReport, Failure, Outcome

_MAX_BACKOFF_S = 60.0


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt, after a wait; `spends` says whether it comes out of the job's budget."""

    cause: AttemptCause
    delay_s: float
    spends: bool
    why: str


@dataclass(frozen=True, slots=True)
class Final:
    """No further attempt."""

    failure: Failure
    why: str


def failure_of(report: ExitReport) -> Failure:
    """The report's failure, or the one that its outcome stands for."""
    if report.failure is not None:
        return report.failure
    if report.outcome is Outcome.WORKER_LOST:
        return Failure.of(Reason.WORKER_LOST)
    return Failure.of(Reason.UNKNOWN)


def backoff_s(base_s: float, retries_spent: int) -> float:
    """Doubles with each retry, up to a minute."""
    return min(base_s * 2.0 ** min(retries_spent, 10), _MAX_BACKOFF_S)


def after_exit(report: ExitReport, retries_spent: int, max_retries: int, base_s: float) -> Again | Final:
    """What an attempt that did not succeed leads to; a user's mistake is never tried twice, preemption is free."""
    if report.outcome is Outcome.PREEMPTED:
        return Again(AttemptCause.PREEMPTED, 0.0, spends=False, why="the worker needed its slot back")
    failure = failure_of(report)
    if failure.failure_class is FailureClass.USER or not failure.retryable:
        return Final(failure, f"{failure.reason}: {failure.message}")
    if retries_spent >= max_retries:
        spent = f"after {retries_spent} of {max_retries} retries" if max_retries else "retries are switched off"
        return Final(failure, f"{failure.reason}: {failure.message} ({spent})")
    delay = backoff_s(base_s, retries_spent)
    return Again(
        AttemptCause.RETRY, delay, spends=True,
        why=f"{failure.reason}: {failure.message}; retry {retries_spent + 1} of {max_retries} in {delay:g} s",
    )  # fmt: skip
