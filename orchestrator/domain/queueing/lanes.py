"""Waiting jobs that are alike to the queue: of one project and one sweep, bound to one worker or none, of one size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.job import Job
from shared.contracts.scheduling import NO_TERMS
from shared.contracts.work import Resources


@dataclass(frozen=True, slots=True)
class Lane:
    """Jobs that only their turn tells apart: when the first cannot start, none of them can."""

    project: str
    sweep: str | None = None
    pin: str | None = None
    """The only worker that may run them: it has their checkpoints."""
    resources: Resources = NO_TERMS.resources

    @property
    def key(self) -> str:
        """As a column holds it; names have no slash."""
        size = self.resources
        parts = [self.project, self.sweep or "", str(size.slots), str(size.gpus), f"{size.memory_gb:g}", self.pin or ""]
        return "/".join(parts)

    @property
    def groups(self) -> list[str]:
        """Whose bounds on jobs at work hold for it."""
        return [group_of_project(self.project), *([group_of_sweep(self.sweep)] if self.sweep else [])]


def lane_of(job: Job) -> Lane:
    """The lane a job waits in."""
    return Lane(job.project, job.sweep, job.pin, job.terms.resources)


def parse_lane(key: str) -> Lane:
    """The lane that a key stands for."""
    project, sweep, slots, gpus, memory_gb, pin = key.split("/", 5)
    size = Resources(slots=int(slots), gpus=int(gpus), memory_gb=float(memory_gb))
    return Lane(project, sweep or None, pin or None, size)


def group_of_project(project: str) -> str:
    """The jobs that share a project's quota."""
    return f"project {project}"


def group_of_sweep(sweep: str) -> str:
    """The jobs that share a sweep's parallelism."""
    return f"sweep {sweep}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job in line."""

    turn: datetime
    job_id: str


@dataclass(frozen=True, slots=True)
class Line:
    """What one look at the queue of a service tells."""

    heads: Mapping[Lane, Sequence[Waiting]]
    """The first of each lane, in order."""
    used: Mapping[str, int]
    """Jobs at work, by group."""
    limits: Mapping[str, int]
    """The most that may be at work, by group; no bound where it is absent."""

    def full_group(self, lane: Lane, used: Mapping[str, int]) -> str | None:
        """The group that lets no further job of this lane start, if any."""
        for group in lane.groups:
            if group in self.limits and used.get(group, 0) >= self.limits[group]:
                return group
        return None
