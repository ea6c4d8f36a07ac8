"""A job as a row, and back."""

from typing import Any

from sqlalchemy import Row

from orchestrator.domain.job import Inputs, Job
from orchestrator.domain.queueing.lanes import lane_of
from orchestrator.domain.queueing.turns import turn_of
from shared.contracts.jobs import Phase
from shared.contracts.scheduling import Scheduling
from shared.contracts.work import AttemptCause, DatasetInput, Failure, JobKind, ModelInput

_FIXED = {
    "job_id", "kind", "worker", "project", "spec", "inputs", "created_at", "max_retries", "retry_of", "traceparent",
    "cloned_from", "terms", "priority", "sweep", "trial", "parameters",
}  # fmt: skip
"""Columns that never change."""
_PLAIN = (
    "job_id", "worker", "project", "spec", "why", "created_at", "updated_at", "max_retries", "retries_spent",
    "attempt", "current_step", "total_steps", "fraction", "metrics", "result", "retry_of", "cloned_from",
    "unreachable_since", "started_at", "ended_at", "next_look_at", "event_seq", "sweep", "trial", "placed_on",
    "traceparent", "version",
)  # fmt: skip
"""Fields that stand in the row as they are."""
MUTABLE = frozenset({*_PLAIN, "phase", "next_cause", "failure", "turn", "lane"}) - _FIXED
"""Columns that a save writes."""


def row_of(job: Job) -> dict[str, Any]:
    """The columns that come from the domain."""
    return {name: getattr(job, name) for name in _PLAIN} | {
        "kind": job.kind,
        "phase": job.phase,
        "next_cause": job.next_cause,
        "parameters": job.parameters or None,
        "terms": job.terms.model_dump(mode="json", exclude_defaults=True),
        "priority": job.terms.priority,
        "turn": job.turn,
        "lane": lane_of(job).key if job.is_waiting and not job.is_held else None,
        "failure": None if job.failure is None else job.failure.model_dump(mode="json"),
        "inputs": {
            "datasets": {role: item.model_dump(mode="json") for role, item in job.inputs.datasets.items()},
            "models": {role: item.model_dump(mode="json") for role, item in job.inputs.models.items()},
        },
    }


def job_of(row: Row[Any]) -> Job:
    """The job that a row stands for; stored shapes are read leniently: older versions wrote some of them."""
    return Job(
        **{name: getattr(row, name) for name in _PLAIN},
        kind=JobKind(row.kind),
        phase=Phase(row.phase),
        parameters=row.parameters or {},
        terms=Scheduling.model_validate(row.terms or {}, extra="ignore"),
        turn=row.turn or turn_of(row.created_at, row.priority),
        is_held=row.phase == Phase.QUEUED and row.lane is None,
        next_cause=AttemptCause(row.next_cause),
        failure=None if row.failure is None else Failure.model_validate(row.failure, extra="ignore"),
        inputs=Inputs(
            {role: DatasetInput.model_validate(item, extra="ignore") for role, item in row.inputs["datasets"].items()},
            {role: ModelInput.model_validate(item, extra="ignore") for role, item in row.inputs["models"].items()},
        ),
    )
