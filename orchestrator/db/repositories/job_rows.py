"""A job as a row, and back."""

from typing import Any

from sqlalchemy import Row

from orchestrator.domain.job import Inputs, Job
from shared.contracts.jobs import Phase
from shared.contracts.work import AttemptCause, DatasetInput, Failure, JobKind, ModelInput

_FIXED = frozenset(
    {"job_id", "kind", "worker", "project", "spec", "inputs", "created_at", "max_retries", "retry_of", "traceparent"}
)
_PLAIN = (
    "job_id", "worker", "project", "spec", "why", "created_at", "updated_at", "max_retries", "retries_spent",
    "attempt", "current_step", "total_steps", "fraction", "metrics", "result", "retry_of", "unreachable_since",
    "started_at", "ended_at", "next_look_at", "event_seq", "priority", "traceparent", "version",
)  # fmt: skip
"""Fields that stand in the row as they are."""
MUTABLE = frozenset({*_PLAIN, "phase", "next_cause", "failure"}) - _FIXED
"""Columns that a save writes."""


def row_of(job: Job) -> dict[str, Any]:
    """The columns that come from the domain."""
    return {name: getattr(job, name) for name in _PLAIN} | {
        "kind": job.kind,
        "phase": job.phase,
        "next_cause": job.next_cause,
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
        next_cause=AttemptCause(row.next_cause),
        failure=None if row.failure is None else Failure.model_validate(row.failure, extra="ignore"),
        inputs=Inputs(
            {role: DatasetInput.model_validate(item, extra="ignore") for role, item in row.inputs["datasets"].items()},
            {role: ModelInput.model_validate(item, extra="ignore") for role, item in row.inputs["models"].items()},
        ),
    )
