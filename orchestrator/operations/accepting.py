"""What every new job passes on its way in: names looked up, quotas and the queue's bound held."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestrator.domain.dataset import DatasetVersion
from orchestrator.domain.job import WORKER_OF_KIND, Inputs, Job
from orchestrator.domain.job_machine import Moved, accepted
from orchestrator.domain.kinship import require_kin
from orchestrator.domain.limits import queue_deadline
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.origins import origins_of
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.queueing.gauge import QueueGauge
from orchestrator.domain.queueing.turns import turn_of
from orchestrator.domain.sight import require_sight
from orchestrator.domain.submission import RATER, Named, Submission, require_adapter, require_format, require_purpose
from shared.contracts.base import JsonObject
from shared.contracts.jobs import Phase
from shared.contracts.scheduling import Scheduling
from shared.contracts.work import JobKind, ModelInput
from shared.kit import context
from shared.kit.errors import NotFound, RateLimited
from shared.kit.ids import new_id


@dataclass(slots=True)
class Acceptance:
    """The new jobs of one transaction; names and quotas are looked up once."""

    uow: UnitOfWork
    gauge: QueueGauge
    _datasets: dict[str, DatasetVersion] = field(default_factory=dict)
    _models: dict[str, ModelVersion] = field(default_factory=dict)
    _left: dict[str, int | None] = field(default_factory=dict)
    """How many more jobs of each project may be queued; None is any number."""

    def accept(self, draft: Job, submission: Submission | None) -> Moved:
        """The job's first move; `submission` has the names to look up, none when its inputs are known."""
        job = draft if submission is None else replace(draft, inputs=self.resolve(submission))
        _require_jobs(self.uow, job.terms.depends_on)
        self.gauge.admit(self.uow.jobs.count_queued)
        self._admit(job.project)
        return accepted(job)

    def _dataset(self, named: Named) -> DatasetVersion:
        if named.reference not in self._datasets:
            self._datasets[named.reference] = self.uow.datasets.require(named.reference, named.param)
        return self._datasets[named.reference]

    def _model(self, named: Named) -> ModelVersion:
        if named.reference not in self._models:
            self._models[named.reference] = self.uow.models.require(named.reference, named.param)
        return self._models[named.reference]

    def resolve(self, submission: Submission) -> Inputs:
        """The versions that a request's names stand for now; NotFound names the field."""
        for named in submission.datasets.values():
            require_format(submission, named, self._dataset(named).format)
        for named in submission.models.values():
            require_purpose(named, self._model(named).purpose)
            require_adapter(submission, named, self._model(named).adapter)
        require_sight(
            submission,
            {role: self._dataset(named) for role, named in submission.datasets.items()},
            {role: self._model(named) for role, named in submission.models.items()},
        )
        if rater := submission.models.get(RATER):
            require_kin(self.uow.models, rater, self._model(rater), self._model(submission.models["base"]))
        return Inputs(
            {role: self._dataset(named).as_input() for role, named in submission.datasets.items()},
            {role: self._told(submission.kind, self._model(named)) for role, named in submission.models.items()},
        )

    def _told(self, kind: JobKind, model: ModelVersion) -> ModelInput:
        told = model.as_input()
        return told.model_copy(update={"origins": origins_of(self.uow, model)}) if kind is JobKind.EXPORT else told

    def _admit(self, project: str) -> None:
        """Count one more; RateLimited when the project's queue is full."""
        if project not in self._left:
            limit = self.uow.quotas.hold(project).max_queued
            self._left[project] = None if limit is None else limit - self.uow.line.count_of(project, limit)
        left = self._left[project]
        if left is None:
            return
        if left <= 0:
            raise RateLimited(
                f"the quota of project {project} lets no more of its jobs wait; try again when some have started",
                code="project_queue_full", param="project", retry_after_s=5,
            )  # fmt: skip
        self._left[project] = left - 1


def blank_job(kind: JobKind, project: str, spec: JsonObject, terms: Scheduling, now: datetime) -> Job:
    """A job at its very beginning."""
    worker = WORKER_OF_KIND[kind]
    job = Job(
        job_id=new_id("job"), kind=kind, worker=worker, project=project, spec=spec, inputs=Inputs(),
        phase=Phase.QUEUED, why=f"waiting for the {worker} service", created_at=now, updated_at=now,
        turn=turn_of(now, terms.priority), terms=terms, traceparent=context.traceparent.get(),
    )  # fmt: skip
    if terms.depends_on:
        return replace(job, is_held=True, next_look_at=now, why="waiting for the jobs that it depends on")
    return replace(job, next_look_at=queue_deadline(job))


def _require_jobs(uow: UnitOfWork, job_ids: list[str]) -> None:
    """NotFound unless all of them exist; so a circle cannot be made."""
    missing = set(job_ids) - uow.jobs.phases(job_ids).keys() if job_ids else set()
    if missing:
        raise NotFound(f"there is no job {min(missing)} to depend on", code="job_not_found", param="dependsOn")
