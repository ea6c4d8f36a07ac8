"""Who plans trainings, and how long one may take by what has ended here."""

from collections.abc import Sequence
from statistics import median
from typing import Protocol

from orchestrator.domain.job import Job
from shared.contracts.plans import Duration, PlanCall, TrainingPlan
from shared.contracts.training import TrainingSpec

_MOST = 10
"""Trainings whose speed is taken, newest first."""


class PlanningPeer(Protocol):
    """A training service, which rehearses."""

    async def plan(self, call: PlanCall) -> TrainingPlan:
        """PeerUnavailable when nobody is there."""
        ...


def duration_of(plan: TrainingPlan, spec: TrainingSpec, base: str, ended: Sequence[Job]) -> Duration | None:
    """By trainings of the same base and method, or else by the others', in proportion to their weights.

    Only those count that as many processes shared in the same way.
    """
    if plan.tokens is None or not plan.rows:
        return None
    epochs = plan.steps * spec.batch_size * spec.gradient_accumulation_steps / plan.rows
    method = spec.finetuning_type.value
    together = spec.parallel.model_dump(mode="json", by_alias=True) if spec.parallel else None
    ended = [job for job in ended if job.spec.get("parallel") == together]
    alike = [job for job in ended if _base_of(job) == base and job.spec.get("finetuningType", "lora") == method]
    speeds = [speed for job in alike[:_MOST] if (speed := _speed_of(job))]
    basis = f"{len(speeds)} trainings of this model by {method}"
    if not speeds:
        speeds = [pace for job in ended[:_MOST] if (pace := _speed_of(job) * _size(job) / plan.parameters)]
        basis = f"{len(speeds)} trainings of other models or methods, in proportion to their numbers of weights"
    if not speeds:
        return None
    pace = median(speeds)
    return Duration(seconds=round(plan.tokens.total * epochs / pace, 1), tokens_per_second=round(pace, 1), basis=basis)


def _base_of(job: Job) -> str | None:
    found = job.inputs.models.get("base")
    return None if found is None else found.base


def _speed_of(job: Job) -> float:
    metrics = job.result.get("metrics")
    found = metrics.get("tokens_per_second") if isinstance(metrics, dict) else None
    return float(found) if isinstance(found, int | float) else 0.0


def _size(job: Job) -> int:
    model = job.result.get("model")
    found = model.get("parameters") if isinstance(model, dict) else None
    return found if isinstance(found, int) else 0
