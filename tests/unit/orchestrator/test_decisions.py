"""The decision about a job, for every phase and everything that may have been seen."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.decisions import Act, Condemn, Decision, Deed, End, Enter, Move, Policy, Wait, decide
from orchestrator.domain.job_machine import WORKING, is_allowed
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
from shared.contracts.failures import FailureClass
from shared.contracts.jobs import TERMINAL, Phase
from shared.contracts.scheduling import Scheduling
from shared.contracts.work import AttemptCause, AttemptState, Outcome
from tests.unit.orchestrator.jobs import MODEL, NOW, a_failure, a_job, a_report, a_view, an_attempt

RUNNING, ACCEPTED = Seen(a_view()), Seen(a_view(AttemptState.ACCEPTED))
ENDED = Seen(a_view(AttemptState.ENDED, a_report(Outcome.SUCCEEDED, result=MODEL)))
FULL = Refused("no_capacity", "no free slot", is_passing=True)
OLDER = Refused("older_attempt_alive", "an older attempt lives", is_passing=False)
DIFFERENT = Refused("conflict", "another body", is_passing=False)
SILENT = Silent("ReadTimeout")
GONE = Gone("worker a was forgotten by an operator")
FREE = SlotFree("training")
ASKED = Seen(a_view(), just_asked=True)
SUCCESS = a_report(Outcome.SUCCEEDED, result=MODEL)
KILLED = a_report(Outcome.FAILED, failure=a_failure())
FAULTY = a_report(Outcome.FAILED, failure=a_failure(FailureClass.USER))
DRAINED, UNDRAINED = Sealed(is_drained=True), Sealed(is_drained=False)

ALIVE = [
    (Phase.STARTING, Missing(), Act, Deed.START),
    (Phase.STARTING, ACCEPTED, Wait, None),
    (Phase.STARTING, RUNNING, Move, Phase.RUNNING),
    (Phase.STARTING, FULL, End, Outcome.REFUSED),
    (Phase.STARTING, OLDER, Wait, None),
    (Phase.STARTING, DIFFERENT, End, Outcome.FAILED),
    (Phase.STARTING, SILENT, Wait, None),
    (Phase.STARTING, ENDED, End, Outcome.SUCCEEDED),
    (Phase.STARTING, GONE, End, Outcome.WORKER_LOST),
    (Phase.RUNNING, GONE, End, Outcome.WORKER_LOST),
    (Phase.STOPPING, GONE, End, Outcome.WORKER_LOST),
    (Phase.PAUSING, GONE, End, Outcome.WORKER_LOST),
    (Phase.RUNNING, RUNNING, Wait, None),
    (Phase.RUNNING, SILENT, Wait, None),
    (Phase.RUNNING, Missing(), Act, Deed.PREEMPT),
    (Phase.RUNNING, Missing(just_asked=True), End, Outcome.WORKER_LOST),
    (Phase.RUNNING, ENDED, End, Outcome.SUCCEEDED),
    (Phase.STOPPING, RUNNING, Act, Deed.STOP),
    (Phase.STOPPING, ASKED, Wait, None),
    (Phase.STOPPING, Missing(), Act, Deed.PREEMPT),
    (Phase.STOPPING, Missing(just_asked=True), End, Outcome.WORKER_LOST),
    (Phase.STOPPING, SILENT, Wait, None),
    (Phase.STOPPING, FULL, Wait, None),
    (Phase.STOPPING, ENDED, End, Outcome.SUCCEEDED),
    (Phase.PAUSING, RUNNING, Act, Deed.PAUSE),
    (Phase.PAUSING, ASKED, Wait, None),
    (Phase.PAUSING, Missing(), Act, Deed.PREEMPT),
    (Phase.PAUSING, Missing(just_asked=True), End, Outcome.WORKER_LOST),
    (Phase.PAUSING, ENDED, End, Outcome.SUCCEEDED),
]


def _target(decision: Decision) -> Any:
    match decision:
        case Move():
            return decision.to
        case Act():
            return decision.deed
        case End():
            return decision.report.outcome
    return None


@pytest.mark.parametrize(("phase", "seen", "kind", "target"), ALIVE)
def test_a_living_attempt(phase: Phase, seen: Observation, kind: type[Decision], target: object) -> None:
    decision = decide(a_job(phase), an_attempt(), seen, NOW)
    assert isinstance(decision, kind)
    assert _target(decision) == target
    assert decision.why


LOST = a_report(Outcome.WORKER_LOST)
ENDINGS = [
    (Phase.RUNNING, SUCCESS, Phase.SUCCEEDED),
    (Phase.RUNNING, a_report(Outcome.SUCCEEDED), Phase.FAILED),
    (Phase.RUNNING, KILLED, Phase.QUEUED),
    (Phase.RUNNING, FAULTY, Phase.FAILED),
    (Phase.RUNNING, LOST, Phase.QUEUED),
    (Phase.RUNNING, a_report(Outcome.PREEMPTED), Phase.QUEUED),
    (Phase.RUNNING, a_report(Outcome.STOPPED), Phase.STOPPED),
    (Phase.RUNNING, a_report(Outcome.PAUSED), Phase.PAUSED),
    (Phase.STARTING, KILLED, Phase.QUEUED),
    (Phase.STARTING, SUCCESS, Phase.SUCCEEDED),
    (Phase.STOPPING, SUCCESS, Phase.SUCCEEDED),
    (Phase.STOPPING, a_report(Outcome.SUCCEEDED), Phase.STOPPED),
    (Phase.STOPPING, KILLED, Phase.STOPPED),
    (Phase.STOPPING, a_report(Outcome.REFUSED), Phase.STOPPED),
    (Phase.PAUSING, a_report(Outcome.REFUSED), Phase.PAUSED),
    (Phase.STOPPING, FAULTY, Phase.STOPPED),
    (Phase.STOPPING, LOST, Phase.STOPPED),
    (Phase.STOPPING, a_report(Outcome.PREEMPTED), Phase.STOPPED),
    (Phase.STOPPING, a_report(Outcome.PAUSED), Phase.STOPPED),
    (Phase.PAUSING, SUCCESS, Phase.SUCCEEDED),
    (Phase.PAUSING, KILLED, Phase.PAUSED),
    (Phase.PAUSING, FAULTY, Phase.FAILED),
    (Phase.PAUSING, LOST, Phase.PAUSED),
    (Phase.PAUSING, a_report(Outcome.PREEMPTED), Phase.PAUSED),
    (Phase.PAUSING, a_report(Outcome.PAUSED), Phase.PAUSED),
    (Phase.PAUSING, a_report(Outcome.STOPPED), Phase.STOPPED),
]


@pytest.mark.parametrize(("phase", "report", "to"), ENDINGS)
def test_an_ended_attempt(phase: Phase, report: Any, to: Phase) -> None:
    job, attempt = a_job(phase), an_attempt(report)
    assert decide(job, attempt, None, NOW) == Act(Deed.SEAL, "attempt 1 ended")
    decision = decide(job, attempt, DRAINED, NOW)
    assert isinstance(decision, Move)
    assert decision.to is to


@pytest.mark.parametrize("seen", [UNDRAINED, SILENT])
def test_a_terminal_move_waits_for_the_log_but_not_for_ever(seen: Observation) -> None:
    policy = Policy(drain_patience_s=30)
    attempt = an_attempt(SUCCESS)
    assert isinstance(decide(a_job(), attempt, seen, NOW + timedelta(seconds=29), policy), Wait)
    assert isinstance(decide(a_job(), attempt, seen, NOW + timedelta(seconds=30), policy), Move)


def test_a_retry_does_not_wait_for_the_log() -> None:
    assert isinstance(decide(a_job(), an_attempt(KILLED), UNDRAINED, NOW), Move)


def test_a_waiting_job_starts_only_when_a_slot_is_free() -> None:
    job = a_job(Phase.QUEUED, attempt=0)
    assert isinstance(decide(job, None, None, NOW), Enter)
    start = decide(job, None, FREE, NOW)
    assert start == Move(Phase.STARTING, "attempt 1 starts on the training service", {"placed_on": "training"})


def test_an_attempt_that_a_worker_refused_is_over_and_costs_nothing() -> None:
    attempt = an_attempt(a_report(Outcome.REFUSED))
    decision = decide(a_job(Phase.STARTING, next_cause=AttemptCause.RESUME), attempt, DRAINED, NOW)
    assert isinstance(decision, Move)
    assert (decision.to, decision.changes) == (
        Phase.QUEUED, {"retries_spent": 0, "next_cause": AttemptCause.RESUME}
    )  # fmt: skip


def test_a_silent_worker_is_noted_and_nothing_else() -> None:
    for phase in WORKING:
        decision = decide(a_job(phase), an_attempt(), SILENT, NOW)
        assert isinstance(decision, Wait)
        assert decision.is_unreachable
        assert "does not answer" in decision.why


observations = st.sampled_from(
    [
        None,
        FREE,
        RUNNING,
        ACCEPTED,
        ENDED,
        ASKED,
        Missing(),
        Missing(just_asked=True),
        FULL,
        OLDER,
        DIFFERENT,
        SILENT,
        DRAINED,
        UNDRAINED,
    ]
)
reports = st.sampled_from([None, *(a_report(outcome) for outcome in Outcome), SUCCESS, KILLED, FAULTY])


@given(st.sampled_from(list(Phase)), observations, reports, st.booleans(), st.integers(0, 3), st.integers(0, 90))
def test_every_decision_has_a_reason_and_is_allowed(
    phase: Phase, seen: Observation, report: Any, has_attempt: bool, spent: int, age_s: int
) -> None:
    job = a_job(phase, retries_spent=spent)
    attempt = an_attempt(report) if has_attempt else None
    decision = decide(job, attempt, seen, NOW + timedelta(seconds=age_s))
    assert decision.why
    if phase in TERMINAL:
        assert isinstance(decision, Wait)
    if isinstance(decision, Move):
        assert is_allowed(phase, decision.to)


def test_an_attempt_that_is_ended_for_cause_is_asked_to_stop_and_fails_for_it() -> None:
    job = a_job(terms=Scheduling(run_timeout_s=60, no_progress_timeout_s=5))
    assert isinstance(decide(job, an_attempt(), RUNNING, NOW + timedelta(seconds=59)), Wait)
    late = decide(job, an_attempt(), RUNNING, NOW + timedelta(seconds=60))
    assert isinstance(late, Condemn)
    assert late.verdict.reason == "run_timeout"
    silent = Seen(a_view().model_copy(update={"idle_s": 5.0}))
    hung = decide(job, an_attempt(), silent, NOW)
    assert isinstance(hung, Condemn)
    assert (hung.verdict.reason, hung.verdict.retryable) == ("no_progress", True)
    condemned = replace(an_attempt(), verdict=hung.verdict)
    assert _target(decide(job, condemned, silent, NOW)) is Deed.STOP
    assert isinstance(decide(job, condemned, ASKED, NOW), Wait)
    stopped = decide(job, condemned, Seen(a_view(AttemptState.ENDED, a_report(Outcome.STOPPED))), NOW)
    assert isinstance(stopped, End)
    assert (stopped.report.outcome, stopped.report.failure) == (Outcome.FAILED, hung.verdict)
    made_it = decide(job, condemned, ENDED, NOW)
    assert isinstance(made_it, End)
    assert made_it.report.outcome is Outcome.SUCCEEDED


def test_a_user_who_stops_a_job_that_is_ended_for_cause_gets_a_stopped_job() -> None:
    job, attempt = a_job(Phase.STOPPING), an_attempt(a_report(Outcome.FAILED, failure=a_failure()))
    assert _target(decide(job, attempt, DRAINED, NOW)) is Phase.STOPPED


def test_a_waiting_job_with_prerequisites() -> None:
    job = a_job(Phase.QUEUED, attempt=0, is_held=True, terms=Scheduling(queue_timeout_s=60))
    waits = decide(job, None, Prerequisites(["job-a", "job-b"]), NOW)
    assert waits == Wait("waiting for job-a and 1 more to succeed", 60.0, is_unreachable=None)
    assert isinstance(decide(job, None, Prerequisites([]), NOW), Enter)
    assert _target(decide(job, None, Prerequisites(["job-a"], failed="job-b"), NOW)) is Phase.FAILED
    late = decide(job, None, Prerequisites(["job-a"]), NOW + timedelta(seconds=60))
    assert isinstance(late, Move)
    assert late.why.startswith("queue_timeout")
