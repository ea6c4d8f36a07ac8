"""What to do about a job, given what was seen of it: pure and total, every answer with a reason."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from orchestrator.domain.conclusions import Conclusion, conclude
from orchestrator.domain.job import Attempt, Job
from orchestrator.domain.limits import judged, queue_deadline, ran_too_long, waited_too_long
from orchestrator.domain.observations import (
    Gone,
    Missing,
    Observation,
    Prerequisites,
    Refused,
    Sealed,
    Seen,
    Silent,
    SlotFree,
)
from shared.contracts.failures import Reason
from shared.contracts.jobs import TERMINAL, Phase
from shared.contracts.work import (
    AttemptState,
    Control,
    ExitReport,
    Failure,
    Outcome,
    Progress,
)

OLDER_ATTEMPT_ALIVE = "older_attempt_alive"
_SOON_S = 0.2
"""Until the next look when something is about to happen and its hint might be lost."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The waits and patience that settings decide."""

    look_interval_s: float = 1.0
    drain_patience_s: float = 30.0
    retry_backoff_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Move:
    """Change the phase."""

    to: Phase
    why: str
    changes: dict[str, Any] = field(default_factory=dict)
    delay_s: float = 0.0
    """Until the next look."""


class Deed(StrEnum):
    """What can be asked of another service; each may be done twice."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    PREEMPT = "preempt"
    SEAL = "seal"


@dataclass(frozen=True, slots=True)
class Act:
    """Ask another service; its answer is the next observation."""

    deed: Deed
    why: str


@dataclass(frozen=True, slots=True)
class End:
    """Write down how the attempt ended."""

    report: ExitReport
    why: str
    progress: Progress = field(default_factory=Progress)
    is_worker_gone: bool = False
    """No further attempt needs to go where its checkpoints were."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do yet; look again after `delay_s`, or when hinted if None."""

    why: str
    delay_s: float | None
    progress: Progress | None = None
    is_unreachable: bool | None = False
    """Whether the worker failed to answer; None when it was not asked."""


@dataclass(frozen=True, slots=True)
class Condemn:
    """Write down that the attempt is to be ended, and for what."""

    verdict: Failure

    @property
    def why(self) -> str:
        """For people."""
        return f"{self.verdict.reason}: {self.verdict.message}"


@dataclass(frozen=True, slots=True)
class Enter:
    """Let a held job stand in line."""

    why: str


Decision = Move | Act | End | Wait | Enter | Condemn


def decide(job: Job, attempt: Attempt | None, seen: Observation, now: datetime, policy: Policy = Policy()) -> Decision:
    """The next step for `job`, whose newest attempt is `attempt`."""
    if job.phase in TERMINAL:
        return Wait(job.why, None, is_unreachable=None)
    if job.phase is Phase.PAUSED:
        return Wait(job.why, None, is_unreachable=None)
    if job.phase is Phase.QUEUED:
        return _decide_queued(job, seen, now)
    if attempt is None:
        return Wait("its attempt is not written down; an operator must look", policy.look_interval_s)
    if attempt.exit is not None:
        return _decide_ended(job, attempt, attempt.exit, seen, now, policy)
    return _decide_alive(job, attempt, seen, now, policy)


def _decide_queued(job: Job, seen: Observation, now: datetime) -> Decision:
    if not isinstance(seen, SlotFree):
        return _decide_waiting(job, seen, now)
    where = f"the {job.worker} service" if seen.worker == job.worker else f"{job.worker} worker {seen.worker}"
    return Move(Phase.STARTING, f"attempt {job.attempt + 1} starts on {where}", {"placed_on": seen.worker})


def _decide_waiting(job: Job, seen: Observation, now: datetime) -> Decision:
    failure = waited_too_long(job, now)
    if failure is None and isinstance(seen, Prerequisites) and seen.failed is not None:
        failure = Failure.of(Reason.DEPENDENCY_FAILED, f"{seen.failed}, which it depends on, did not succeed")
    if failure is not None:
        return Move(Phase.FAILED, f"{failure.reason}: {failure.message}", {"failure": failure})
    if isinstance(seen, Prerequisites) and seen.waits_for:
        more = f" and {len(seen.waits_for) - 1} more" if len(seen.waits_for) > 1 else ""
        deadline = queue_deadline(job)
        delay_s = None if deadline is None else max((deadline - now).total_seconds(), _SOON_S)
        return Wait(f"waiting for {seen.waits_for[0]}{more} to succeed", delay_s, is_unreachable=None)
    return Enter(f"waiting for the {job.worker} service" if seen is not None else job.why)


def _decide_ended(
    job: Job, attempt: Attempt, report: ExitReport, seen: Observation, now: datetime, policy: Policy
) -> Decision:
    end: Conclusion = conclude(job, report, policy.retry_backoff_s)
    move = Move(end.to, end.why, end.changes, end.delay_s)
    if isinstance(seen, Sealed | Silent):
        ended_at = attempt.ended_at or now
        is_patient = (now - ended_at).total_seconds() < policy.drain_patience_s
        is_drained = isinstance(seen, Sealed) and seen.is_drained
        if end.to in TERMINAL and is_patient and not is_drained:
            return Wait(f"attempt {attempt.number} ended; waiting for its last events", _SOON_S, is_unreachable=None)
        return move
    return Act(Deed.SEAL, f"attempt {attempt.number} ended")


def _decide_alive(job: Job, attempt: Attempt, seen: Observation, now: datetime, policy: Policy) -> Decision:
    match seen:
        case Silent():
            return Wait(
                f"the {job.worker} service does not answer ({seen.why}); attempt {attempt.number} may well run on",
                policy.look_interval_s, is_unreachable=True,
            )  # fmt: skip
        case Seen():
            return _on_view(job, attempt, seen, now, policy)
        case Missing():
            return _on_missing(job, attempt, seen, now)
        case Gone():
            return _on_gone(attempt, seen, now)
        case Refused():
            return _on_refused(job, attempt, seen, now, policy)
    return Wait(job.why, policy.look_interval_s, is_unreachable=None)


def _on_view(job: Job, attempt: Attempt, seen: Seen, now: datetime, policy: Policy) -> Decision:
    view = seen.view
    if view.exit is not None:
        report = judged(view.exit, attempt.verdict)
        return End(report, f"attempt {attempt.number} ended: {report.outcome}", view.progress)
    asked, why = (_REQUESTS.get(job.phase), job.why) if attempt.verdict is None else (Deed.STOP, _ending(attempt))
    if asked is not None:
        if seen.just_asked:
            return Wait(why, _SOON_S, view.progress)
        return Act(asked, why)
    verdict = ran_too_long(job, attempt, view, now)
    if verdict is not None:
        return Condemn(verdict)
    if job.phase is Phase.STARTING and view.state is AttemptState.RUNNING:
        return Move(Phase.RUNNING, f"attempt {attempt.number} runs on the {job.worker} service")
    if job.phase is Phase.STARTING:
        return Wait(f"attempt {attempt.number} starts on the {job.worker} service", _SOON_S, view.progress)
    return Wait(f"attempt {attempt.number} runs on the {job.worker} service", policy.look_interval_s, view.progress)


def _ending(attempt: Attempt) -> str:
    reason = "" if attempt.verdict is None else attempt.verdict.message
    return f"ending attempt {attempt.number}: {reason}"


_REQUESTS = {Phase.STOPPING: Deed.STOP, Phase.PAUSING: Deed.PAUSE}
CONTROLS = {Deed.STOP: Control.STOP, Deed.PAUSE: Control.PAUSE, Deed.PREEMPT: Control.PREEMPT}


def _on_missing(job: Job, attempt: Attempt, seen: Missing, now: datetime) -> Decision:
    if job.phase is Phase.STARTING:
        return Act(Deed.START, f"attempt {attempt.number} is not on the {job.worker} service yet")
    if not seen.just_asked:
        # A replica that was frozen may still ask for its start: the worker must be told not to heed that.
        return Act(Deed.PREEMPT, f"attempt {attempt.number} is not on the {job.worker} service, and shall not be")
    why = f"the {job.worker} service has no attempt {attempt.number}"
    return End(ExitReport(outcome=Outcome.WORKER_LOST, ended_at=now, failure=_lost(job, attempt)), why)


def _on_gone(attempt: Attempt, seen: Gone, now: datetime) -> Decision:
    failure = Failure.of(Reason.WORKER_LOST, seen.why)
    return End(ExitReport(outcome=Outcome.WORKER_LOST, ended_at=now, failure=failure), seen.why, is_worker_gone=True)


def _lost(job: Job, attempt: Attempt) -> Failure:
    return Failure.of(Reason.WORKER_LOST, f"the {job.worker} service no longer has attempt {attempt.number}")


def _on_refused(job: Job, attempt: Attempt, seen: Refused, now: datetime, policy: Policy) -> Decision:
    says = f"the {job.worker} service says: {seen.message}"
    if job.phase is not Phase.STARTING:
        return Wait(says, policy.look_interval_s)
    if seen.code == OLDER_ATTEMPT_ALIVE:
        return Wait(f"an older attempt still ends; {says}", _SOON_S)
    if seen.is_passing:
        return End(ExitReport(outcome=Outcome.REFUSED, ended_at=now), says)
    failure = Failure.of(Reason.WORKER_REFUSED, f"{says} ({seen.code})")
    return End(ExitReport(outcome=Outcome.FAILED, ended_at=now, failure=failure), says)
