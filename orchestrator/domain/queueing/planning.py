"""Who starts now and where: the one rule that claims follow and explanations are read from."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.queueing.lanes import Lane, Line, Waiting
from orchestrator.domain.queueing.placement import Offer, choose, nearest

PATIENCE = timedelta(minutes=10)
"""How long jobs that fit may pass one that is too big for the room there is; then a worker is kept free for it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A job to start, and the worker to start it on."""

    job_id: str
    lane: Lane
    worker: str


def in_order(line: Line) -> Iterator[tuple[Waiting, Lane]]:
    """Everyone at the heads of their lanes, by turn."""

    def walk(lane: Lane) -> Iterator[tuple[datetime, str, Lane]]:
        return ((waiting.turn, waiting.job_id, lane) for waiting in line.heads[lane])

    for turn, job_id, lane in heapq.merge(*map(walk, line.heads), key=lambda item: item[:2]):
        yield Waiting(turn, job_id), lane


def usable(lane: Lane, offers: Sequence[Offer]) -> Sequence[Offer]:
    """The workers that may run this lane's jobs: any, unless the one they are pinned to is still there."""
    pinned = [offer for offer in offers if offer.worker == lane.pin]
    return pinned or offers


def plan(line: Line, offers: Sequence[Offer], now: datetime) -> list[Placement]:
    """Jobs to start, first come first: no bound is passed, no room that fits a job in line is left unused.

    One exception lets big jobs start at all: the first that fits nowhere and has been passed long enough has the
    worker that lacks least kept free for it.
    """
    standing = list(offers)
    used = Counter(line.used)
    closed: set[Lane] = set()
    kept_free: str | None = None
    placed = []
    for waiting, lane in in_order(line):
        if lane in closed:
            continue
        if line.full_group(lane, used) is not None:
            closed.add(lane)
            continue
        best = choose((offer for offer in usable(lane, standing) if offer.worker != kept_free), lane.resources)
        if best is None:
            closed.add(lane)
            if kept_free is None and now - waiting.turn >= PATIENCE:
                kept = nearest(usable(lane, standing), lane.resources)
                if kept is not None:
                    kept_free = kept.worker
                    # Its place within the bounds as well: else its own project's small jobs would take it for ever.
                    used.update(lane.groups)
            continue
        standing[standing.index(best)] = best.after(lane.resources)
        used.update(lane.groups)
        placed.append(Placement(waiting.job_id, lane, best.worker))
    return placed
