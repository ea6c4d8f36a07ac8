"""Phases, their groups, and every transition a job may make."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orchestrator.domain.job import HistoryEntry, Job, OutboxEvent
from shared.contracts.events import PHASE_CHANGED, job_topic
from shared.contracts.jobs import TERMINAL, Phase

WORKING = frozenset({Phase.STARTING, Phase.RUNNING, Phase.PAUSING, Phase.STOPPING})
"""Does a worker have something to say about it?"""
RESTING = frozenset({Phase.QUEUED, Phase.PAUSED})
"""Can it be moved without asking anyone?"""
STOPPABLE = frozenset({Phase.QUEUED, Phase.STARTING, Phase.RUNNING, Phase.PAUSING, Phase.PAUSED})
"""Does `stop` change anything?"""
PAUSABLE = frozenset({Phase.QUEUED, Phase.STARTING, Phase.RUNNING})
"""Does `pause` change anything?"""

TRANSITIONS: dict[tuple[Phase | None, Phase], str] = {
    (None, Phase.QUEUED): "the job was accepted",
    (Phase.QUEUED, Phase.STARTING): "a slot is free; the next attempt is written down",
    (Phase.QUEUED, Phase.PAUSED): "a user paused it before it started",
    (Phase.QUEUED, Phase.FAILED): "it waited longer than it may, or a job that it depends on did not succeed",
    (Phase.QUEUED, Phase.STOPPED): "a user stopped it before it started",
    (Phase.STARTING, Phase.QUEUED): "the worker had no room, or the attempt ended in a way worth another one",
    (Phase.STARTING, Phase.RUNNING): "the worker runs the attempt",
    (Phase.STARTING, Phase.PAUSING): "a user asked for a pause; headed for paused",
    (Phase.STARTING, Phase.PAUSED): "the attempt paused by itself",
    (Phase.STARTING, Phase.STOPPING): "a user asked for a stop; headed for stopped",
    (Phase.STARTING, Phase.STOPPED): "the attempt was stopped at its worker",
    (Phase.STARTING, Phase.SUCCEEDED): "the attempt succeeded before anyone saw it run",
    (Phase.STARTING, Phase.FAILED): "the attempt failed for good before anyone saw it run",
    (Phase.RUNNING, Phase.QUEUED): "the attempt ended in a way worth another one",
    (Phase.RUNNING, Phase.PAUSING): "a user asked for a pause; headed for paused",
    (Phase.RUNNING, Phase.PAUSED): "the attempt paused by itself",
    (Phase.RUNNING, Phase.STOPPING): "a user asked for a stop; headed for stopped",
    (Phase.RUNNING, Phase.STOPPED): "the attempt was stopped at its worker",
    (Phase.RUNNING, Phase.SUCCEEDED): "the attempt succeeded",
    (Phase.RUNNING, Phase.FAILED): "the attempt failed for good",
    (Phase.PAUSING, Phase.PAUSED): "the attempt ended with a checkpoint",
    (Phase.PAUSING, Phase.STOPPING): "a user asked for a stop; headed for stopped",
    (Phase.PAUSING, Phase.STOPPED): "the attempt was stopped at its worker",
    (Phase.PAUSING, Phase.SUCCEEDED): "the attempt succeeded before it could pause",
    (Phase.PAUSING, Phase.FAILED): "the attempt failed for good before it could pause",
    (Phase.PAUSED, Phase.QUEUED): "a user resumed it",
    (Phase.PAUSED, Phase.STOPPED): "a user stopped it while it was paused",
    (Phase.STOPPING, Phase.STOPPED): "the attempt ended",
    (Phase.STOPPING, Phase.SUCCEEDED): "the attempt succeeded before it could stop",
}
"""Every transition, with the sentence that says when it happens."""


class IllegalMove(AssertionError):
    """A decision that the transition table does not know: a fault in this program."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A transition, whole: the job as it is now, its history row, and the event that tells of it."""

    job: Job
    entry: HistoryEntry
    event: OutboxEvent


def is_allowed(from_phase: Phase | None, to_phase: Phase) -> bool:
    """Whether the table has this transition."""
    return (from_phase, to_phase) in TRANSITIONS


def _record(job: Job, from_phase: Phase | None, now: datetime) -> Moved:
    entry = HistoryEntry(job.job_id, now, from_phase, job.phase, job.why, job.attempt)
    event = OutboxEvent(
        topic=job_topic(job.job_id), producer_seq=job.event_seq, event_type=PHASE_CHANGED, timestamp=now,
        attempt=job.attempt, data={"from": from_phase, "to": job.phase, "why": job.why, "project": job.project},
        after_drain=job.phase in TERMINAL,
    )  # fmt: skip
    return Moved(job, entry, event)


def accepted(job: Job) -> Moved:
    """The first transition: a new job enters the queue."""
    return _record(replace(job, phase=Phase.QUEUED, event_seq=1), None, job.created_at)


def moved(job: Job, to: Phase, why: str, now: datetime, **changes: Any) -> Moved:
    """`job` in phase `to`, with `changes` to its other fields; IllegalMove when the table has no such transition."""
    if not is_allowed(job.phase, to):
        raise IllegalMove(f"{job.job_id}: {job.phase} -> {to}")
    if to in TERMINAL:
        changes |= {"ended_at": now, "next_look_at": None, "unreachable_since": None}
    elif to is Phase.PAUSED:
        changes |= {"next_look_at": None, "unreachable_since": None}
    elif to is Phase.QUEUED:
        # Whoever is to wait first is looked at then; the others are in line, where their turn finds them.
        changes.setdefault("next_look_at", None)
        changes["is_held"] = changes["next_look_at"] is not None
    else:
        changes.setdefault("next_look_at", now)
    after = replace(job, phase=to, why=why, updated_at=now, event_seq=job.event_seq + 1, **changes)
    return _record(after, job.phase, now)
