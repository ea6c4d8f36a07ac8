"""What must hold after every commit, and what must have happened in the end."""

from typing import TYPE_CHECKING

from orchestrator.domain.job import Job
from orchestrator.domain.job_machine import WORKING, is_allowed
from shared.contracts.events import job_topic
from shared.contracts.failures import FailureClass
from shared.contracts.jobs import TERMINAL
from shared.contracts.work import Outcome

if TYPE_CHECKING:
    from tests.simulation.tables import Tables


_BROKEN: list[str] = []


def require(is_kept: bool, promise: str) -> None:
    """Remember a broken promise: the loops that broke it catch and log what is raised in them."""
    if not is_kept:
        _BROKEN.append(promise)
        raise AssertionError(promise)


def begin() -> None:
    """Nothing is broken yet."""
    _BROKEN.clear()


def judge() -> None:
    """Raise the first broken promise."""
    if _BROKEN:
        raise AssertionError(_BROKEN[0])


def check_commit(before: "Tables", after: "Tables", quota: int) -> None:
    """One transaction: no job lost, each move legal and told once, nothing final rewritten."""
    require(before.jobs.keys() <= after.jobs.keys(), "a job is lost")
    require(after.history[: len(before.history)] == before.history, "history is rewritten")
    for key, attempt in before.attempts.items():
        require(attempt.exit is None or after.attempts[key] == attempt, "an attempt's end is rewritten")
    at_work = sum(job.phase in WORKING for job in after.jobs.values())
    was_at_work = sum(job.phase in WORKING for job in before.jobs.values())
    require(at_work <= max(quota, was_at_work), "the quota is passed")
    for job_id, job in after.jobs.items():
        old = before.jobs.get(job_id)
        if old is not job:
            _check_job(old, job, before, after)


def _check_job(old: Job | None, job: Job, before: "Tables", after: "Tables") -> None:
    rows = [entry for entry in after.history[len(before.history) :] if entry.job_id == job.job_id]
    topic = job_topic(job.job_id)
    told = [row.event for key, row in after.outbox.items() if key not in before.outbox and row.event.topic == topic]
    if old is None or old.phase is not job.phase:
        came_from = None if old is None else old.phase
        require(is_allowed(came_from, job.phase), f"{came_from} -> {job.phase} is not in the table")
        moves = [(row.from_phase, row.to_phase) for row in rows]
        require(moves == [(came_from, job.phase)], "a move without its row")
        require([event.producer_seq for event in told] == [job.event_seq], "a move without its event")
        require(job.event_seq == (1 if old is None else old.event_seq + 1), "event numbers jump")
    else:
        require(not rows, "a row without a move")
        require(not told, "an event without a move")
    if old is None:
        return
    require(job.version > old.version, "a version is written twice")
    require(old.phase not in TERMINAL or job.phase is old.phase, "a terminal phase is left")
    require(job.attempt - old.attempt in {0, 1}, "attempt numbers jump")
    if job.attempt != old.attempt:
        require((job.job_id, job.attempt) in after.attempts, "an attempt is not written down")
        earlier = after.attempts.get((job.job_id, old.attempt))
        require(earlier is None or earlier.exit is not None, "a second attempt beside a living one")
    _check_budget(old, job, after)


def _check_budget(old: Job, job: Job, after: "Tables") -> None:
    spent = job.retries_spent - old.retries_spent
    require(spent in {0, 1}, "retries are counted wrongly")
    require(job.retries_spent <= job.max_retries, "the retry budget is overdrawn")
    if spent:
        report = after.attempts[job.job_id, job.attempt].exit
        assert report is not None
        require(report.outcome in {Outcome.FAILED, Outcome.WORKER_LOST}, f"{report.outcome} is charged")
        if report.failure is not None:
            require(report.failure.failure_class is not FailureClass.USER, "a user's fault is tried again")
