"""When a waiting job will start, judged by how long its like took; nothing is said without such a measure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.job import Job

_ENOUGH = 3
"""Fewer finished jobs are no measure."""
_LIKENESS = ("modelName", "dataset", "testDataset", "stage", "finetuningType", "epochs", "maxSteps", "maxRows")


@dataclass(frozen=True, slots=True)
class Finished:
    """A job of the same kind that succeeded in one attempt."""

    likeness: tuple[object, ...]
    seconds: float


def likeness_of(job: Job) -> tuple[object, ...]:
    """What makes two jobs of a kind take about as long."""
    return tuple(job.spec.get(name) for name in _LIKENESS)


def typical_s(job: Job, finished: Sequence[Finished]) -> float | None:
    """The median of jobs like this one, else of all of its kind; None when too few have finished."""
    like = [item.seconds for item in finished if item.likeness == likeness_of(job)]
    for seconds in (like, [item.seconds for item in finished]):
        if len(seconds) >= _ENOUGH:
            return statistics.median(seconds)
    return None


def estimated_start(
    now: datetime, ahead: int, free_slots: int, running_since: Sequence[datetime], lasts_s: float | None
) -> datetime | None:
    """When the job behind `ahead` others gets a slot, if each job lasts `lasts_s`; None when that is not known.

    Slots fall free in one order and each next round repeats it, so no simulation is needed.
    """
    if lasts_s is None:
        return None
    left = [max(lasts_s - (now - since).total_seconds(), 0.0) for since in running_since]
    frees = sorted([*[0.0] * free_slots, *left])
    if not frees:
        return None
    rounds, place = divmod(ahead, len(frees))
    return now + timedelta(seconds=frees[place] + rounds * lasts_s)
