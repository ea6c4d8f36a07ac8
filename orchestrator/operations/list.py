"""Listing jobs, newest first."""

from dataclasses import dataclass

from orchestrator.domain.job import Job
from orchestrator.domain.ports import JobFilter, UnitOfWork, UnitsOfWork
from orchestrator.domain.queueing.explaining import Explained
from orchestrator.operations.queue import Explainer


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of jobs, and what those that wait wait for, by id."""

    jobs: list[Job]
    has_more: bool
    explained: dict[str, Explained]


def list_jobs(units: UnitsOfWork, explainer: Explainer, wanted: JobFilter, before: str | None, limit: int) -> Listed:
    """Those below the id `before`; one more is read than shown, to know whether there are more."""

    def read(uow: UnitOfWork) -> Listed:
        found = uow.jobs.page(wanted, before, limit + 1)
        return Listed(found[:limit], len(found) > limit, explainer.many(uow, found[:limit]))

    return units.read(read)
