"""A sweep and its trials: where it is, and which trial is best, are read from the trials."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.job import Job
from shared.contracts.base import JsonObject
from shared.contracts.jobs import TERMINAL, Phase
from shared.contracts.sweeps import Goal, Objective, SweepStatus
from shared.contracts.work import JobKind


@dataclass(frozen=True, slots=True)
class Sweep:
    """The parent of its trials; nothing of it changes."""

    sweep_id: str
    kind: JobKind
    project: str
    name: str | None
    spec: JsonObject
    """The request, in camelCase."""
    trials: int
    parallelism: int | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What a sweep needs to know of one of its jobs."""

    number: int
    job_id: str
    phase: Phase
    why: str
    parameters: JsonObject
    fraction: float
    metrics: JsonObject
    result: JsonObject


class SweepRepository(Protocol):
    """Sweeps, and what they need to know of their jobs."""

    def add(self, sweep: Sweep) -> None: ...

    def find(self, sweep_id: str) -> Sweep | None: ...

    def page(self, project: str | None, before: str | None, limit: int) -> list[Sweep]:
        """Newest first, those with ids below `before`."""
        ...

    def counts(self, sweep_ids: Sequence[str]) -> dict[str, dict[Phase, int]]:
        """How many trials of each are in which phase."""
        ...

    def trials(self, sweep_id: str) -> list[Trial]:
        """All of them, by number."""
        ...

    def stoppable(self, sweep_id: str) -> list[Job]:
        """Those that a stop would change, held against other writers until the transaction ends."""
        ...


def status_of(counts: Mapping[Phase, int]) -> SweepStatus:
    """Where a sweep is whose trials are in these phases."""
    present = {phase for phase, count in counts.items() if count}
    if not present <= TERMINAL:
        return SweepStatus.QUEUED if present == {Phase.QUEUED} else SweepStatus.RUNNING
    if Phase.STOPPED in present:
        return SweepStatus.STOPPED
    return SweepStatus.SUCCEEDED if Phase.SUCCEEDED in present else SweepStatus.FAILED


def why_of(counts: Mapping[Phase, int], trials: int) -> str:
    """The same in words."""
    over = sum(count for phase, count in counts.items() if phase in TERMINAL)
    told = ", ".join(f"{counts[phase]} {phase}" for phase in Phase if counts.get(phase))
    return f"{over} of {trials} trials are over: {told}"


def value_of(trial: Trial, metric: str) -> float | None:
    """The newest value of a figure; None while the trial has none."""
    for figures in (trial.metrics, trial.result):
        found = _figure(figures, metric)
        if found is not None:
            return found
    return None


def _figure(figures: JsonObject, metric: str) -> float | None:
    found: object = figures.get(metric)
    if found is None:
        found = figures
        for part in metric.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def best_of(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The best of those that succeeded, the first among equals; None while none has a value."""
    sign = 1 if objective.goal is Goal.MINIMIZE else -1
    valued = [
        (sign * value, trial.number, trial)
        for trial in trials
        if trial.phase is Phase.SUCCEEDED and (value := value_of(trial, objective.metric)) is not None
    ]
    return min(valued, key=lambda one: one[:2])[2] if valued else None
