"""Lines, offers and waiting jobs for tests of the queue."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from orchestrator.domain.queueing.lanes import Lane, Line, Waiting
from orchestrator.domain.queueing.placement import Offer, Room
from orchestrator.domain.queueing.turns import turn_of
from shared.contracts.work import Resources
from tests.unit.orchestrator.jobs import NOW


def waits(job_id: str, waited_s: float = 0, priority: int = 0) -> Waiting:
    """A job that has been in line for `waited_s` at NOW."""
    return Waiting(turn_of(NOW - timedelta(seconds=waited_s), priority), job_id)


def a_line(
    heads: Mapping[Lane, Sequence[Waiting]],
    used: Mapping[str, int] | None = None,
    limits: Mapping[str, int] | None = None,
) -> Line:
    """A line whose lanes are put in order."""
    ordered = {lane: sorted(jobs, key=lambda job: (job.turn, job.job_id)) for lane, jobs in heads.items()}
    return Line(ordered, used or {}, limits or {})


def an_offer(worker: str = "training", slots: int = 1, gpus: int = 0, of_slots: int = 0, of_gpus: int = 0) -> Offer:
    """A worker with this much room; as large as its room unless said."""
    return Offer(worker, Room(slots, gpus), Room(max(slots, of_slots), max(gpus, of_gpus)))


def size(slots: int = 1, gpus: int = 0) -> Resources:
    """What a job asks for."""
    return Resources(slots=slots, gpus=gpus)
