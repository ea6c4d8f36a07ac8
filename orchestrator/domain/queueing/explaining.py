"""What a waiting job waits for, read from the facts and rules that claims follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.job import Job
from orchestrator.domain.queueing.board import Standing
from orchestrator.domain.queueing.estimating import estimated_start
from orchestrator.domain.queueing.lanes import Lane, Line, group_of_project, lane_of
from orchestrator.domain.queueing.placement import Offer, choose, offer_of
from orchestrator.domain.queueing.planning import usable
from shared.contracts.jobs import WaitingFor


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a service's queue at one moment."""

    line: Line
    workers: Mapping[str, Standing]
    """Every worker of the service, by name."""
    now: datetime
    ahead: Mapping[Lane, int] | None = None
    """Jobs with an earlier turn, by lane; None when they were not counted."""
    running_since: Sequence[datetime] = ()
    lasts_s: float | None = None
    """How long jobs like this one take."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a job waits; figures are None when they are not known."""

    waiting_for: WaitingFor
    why: str
    position: int | None = None
    estimated_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Workers:
    """The workers that answer, as offers."""

    offers: Sequence[Offer] = field(default=())

    @property
    def slots(self) -> int:
        return sum(offer.whole.slots for offer in self.offers)

    @property
    def free_slots(self) -> int:
        return sum(max(offer.room.slots, 0) for offer in self.offers)


def explain(job: Job, facts: Facts) -> Explained:
    """Why `job` is in line and not at work."""
    if job.is_held:
        is_first = job.attempt == 0 and job.terms.depends_on
        return Explained(WaitingFor.DEPENDENCIES if is_first else WaitingFor.DELAY, job.why)
    lane = lane_of(job)
    first = _first(lane, facts)
    position = None if first is None else first + 1
    answering = {name: known.capacity for name, known in facts.workers.items() if not known.is_silent}
    workers = _Workers([offer_of(name, capacity) for name, capacity in answering.items() if capacity is not None])
    group = facts.line.full_group(lane, facts.line.used)
    if group is not None:
        return Explained(*_bounded(lane, group, facts, first), position)
    waiting_for, why = _missing(job, lane, facts, workers)
    if waiting_for is WaitingFor.WORKER:
        return Explained(waiting_for, why, position)
    start = None
    if first is not None and waiting_for is not WaitingFor.RESOURCES:
        start = estimated_start(facts.now, first, workers.free_slots, facts.running_since, facts.lasts_s)
    return Explained(waiting_for, why + _behind(first), position, start)


def _first(lane: Lane, facts: Facts) -> int | None:
    """How many go first: those of full groups do not, unless this job is of them."""
    if facts.ahead is None:
        return None
    return sum(
        count for other, count in facts.ahead.items()
        if other == lane or facts.line.full_group(other, facts.line.used) is None
    )  # fmt: skip


def _behind(first: int | None) -> str:
    return f"; {first} {'job goes' if first == 1 else 'jobs go'} first" if first else ""


def _bounded(lane: Lane, group: str, facts: Facts, first: int | None) -> tuple[WaitingFor, str]:
    at_work, limit = facts.line.used.get(group, 0), facts.line.limits[group]
    says = f"{at_work} of its jobs are at work, {limit} may be{_behind(first)}"
    if group == group_of_project(lane.project):
        return WaitingFor.QUOTA, f"waiting for the quota of project {lane.project}: {says}"
    return WaitingFor.PARALLELISM, f"waiting for the parallelism of its sweep: {says}"


def _missing(job: Job, lane: Lane, facts: Facts, workers: _Workers) -> tuple[WaitingFor, str]:
    service = f"the {job.worker} service"
    known = facts.workers.values()
    if lane.pin in facts.workers and lane.pin not in {offer.worker for offer in workers.offers}:
        return WaitingFor.WORKER, f"waiting for worker {lane.pin}, which has its checkpoints and does not answer"
    if not workers.offers:
        is_silent = any(standing.is_silent for standing in known)
        return WaitingFor.WORKER, f"waiting for {service}{', which does not answer' if is_silent else ''}"
    if not workers.slots:
        return WaitingFor.WORKER, f"waiting for {service}, which is draining"
    able = usable(lane, workers.offers)
    wanted = lane.resources
    if choose(able, wanted) is not None:
        return WaitingFor.TURN, f"waiting for its turn on {service}"
    if not any(offer.whole.fits(wanted) for offer in able):
        lacks = min((offer.whole.lacks(wanted) for offer in able), key=len)
        return WaitingFor.RESOURCES, f"no worker of {service} has the {' and '.join(lacks)} that it asks for"
    if any(offer.room.lacks(wanted) not in ([], ["slots"]) for offer in able):
        lacks = sorted({name for offer in able for name in offer.room.lacks(wanted)})
        return WaitingFor.RESOURCES, f"waiting for free {' and '.join(lacks)} on {service}"
    used = workers.slots - workers.free_slots
    return WaitingFor.SLOT, f"waiting for a free {job.worker} slot: {used} of {workers.slots} in use"
