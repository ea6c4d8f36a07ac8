"""Listing jobs, newest first."""

from dataclasses import dataclass

from orchestrator.domain.job import Job
from orchestrator.domain.ports import JobFilter, UnitsOfWork


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of jobs."""

    jobs: list[Job]
    has_more: bool


def list_jobs(units: UnitsOfWork, wanted: JobFilter, before: str | None, limit: int) -> Listed:
    """Those below the id `before`; one more is read than shown, to know whether there are more."""
    found = units.read(lambda uow: uow.jobs.page(wanted, before, limit + 1))
    return Listed(found[:limit], has_more=len(found) > limit)
