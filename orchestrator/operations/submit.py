"""Submitting a job: names resolved, one row written, the same key never twice."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestrator.domain.dataset import DatasetVersion
from orchestrator.domain.job import WORKER_OF_KIND, IdempotencyKey, Inputs, Job, NewJob
from orchestrator.domain.job_machine import Moved, accepted
from orchestrator.domain.limits import queue_deadline
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.ports import AlreadyThere, Signals, UnitOfWork, UnitsOfWork
from orchestrator.domain.queueing.gauge import QueueGauge
from orchestrator.domain.queueing.turns import turn_of
from orchestrator.domain.recording import record_new
from orchestrator.domain.submission import Named, Submission, require_format
from orchestrator.operations.grouping import Group
from shared.contracts.base import JsonObject
from shared.contracts.jobs import Phase
from shared.contracts.scheduling import NO_TERMS, Scheduling
from shared.contracts.work import JobKind
from shared.kit import context
from shared.kit.clock import Clock
from shared.kit.errors import Conflict, ImtsError, NotFound, RateLimited
from shared.kit.ids import new_id


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a request stands for; `is_new` is False when its key was used before."""

    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, for which project, and under which name of their own."""

    caller: str
    project: str = "default"
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    """A job to be, and the names that it needs looked up; none when its inputs are known."""

    draft: Job
    caller: str
    key: IdempotencyKey | None
    submission: Submission | None


@dataclass(slots=True)
class _Quotas:
    """How many more jobs of each project may be queued in one transaction; None is any number."""

    uow: UnitOfWork
    left: dict[str, int | None] = field(default_factory=dict)

    def admit(self, project: str) -> None:
        """Count one more; RateLimited when the project's queue is full."""
        if project not in self.left:
            limit = self.uow.quotas.hold(project).max_queued
            self.left[project] = None if limit is None else limit - self.uow.line.count_of(project)
        left = self.left[project]
        if left is None:
            return
        if left <= 0:
            raise RateLimited(
                f"the quota of project {project} lets no more of its jobs wait; try again when some have started",
                code="project_queue_full", param="project", retry_after_s=5,
            )  # fmt: skip
        self.left[project] = left - 1


@dataclass(slots=True)
class _Names:
    """What names stand for in one transaction, each looked up once."""

    uow: UnitOfWork
    datasets: dict[str, DatasetVersion] = field(default_factory=dict)
    models: dict[str, ModelVersion] = field(default_factory=dict)
    quotas: "_Quotas" = field(init=False)

    def __post_init__(self) -> None:
        self.quotas = _Quotas(self.uow)

    def dataset(self, named: Named) -> DatasetVersion:
        if named.reference not in self.datasets:
            self.datasets[named.reference] = self.uow.datasets.require(named.reference, named.param)
        return self.datasets[named.reference]

    def model(self, named: Named) -> ModelVersion:
        if named.reference not in self.models:
            self.models[named.reference] = self.uow.models.require(named.reference, named.param)
        return self.models[named.reference]

    def resolve(self, submission: Submission) -> Inputs:
        """The versions that a request's names stand for now; NotFound names the field."""
        for named in submission.datasets.values():
            require_format(submission, named, self.dataset(named).format)
        return Inputs(
            {role: self.dataset(named).as_input() for role, named in submission.datasets.items()},
            {role: self.model(named).as_input() for role, named in submission.models.items()},
        )


def request_hash(kind: str, project: str, spec: JsonObject, terms: Scheduling = NO_TERMS) -> str:
    """What two requests under one key must share."""
    asked = terms.model_dump(mode="json", exclude_defaults=True)
    said = [kind, project, spec, *([asked] if asked else [])]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Intake:
    """Where every new job comes in; requests that arrive together are committed together."""

    def __init__(
        self, units: UnitsOfWork, clock: Clock, gauge: QueueGauge, signals: Signals, defaults: Scheduling = NO_TERMS
    ) -> None:
        self._units = units
        self._defaults = defaults
        self._clock = clock
        self._gauge = gauge
        self._signals = signals
        self._group = Group(self._write)

    async def submit(self, submission: Submission, requester: Requester) -> Submitted:
        """Accept a request; RateLimited when too many wait, Conflict when its key named another request."""
        terms = submission.terms.with_defaults(self._defaults)
        draft = _blank(submission.kind, requester.project, submission.spec, terms, self._clock.now())
        draft = replace(draft, max_retries=submission.max_retries)
        digest = request_hash(submission.kind, requester.project, submission.spec, submission.terms)
        return await self._add(draft, requester, digest, submission)

    async def resubmit(self, job: Job, requester: Requester, changes: JsonObject) -> Submitted:
        """A new job with the spec, but for `changes`, and the very inputs of an earlier one."""
        draft = replace(
            _blank(job.kind, job.project, {**job.spec, **changes}, job.terms, self._clock.now()),
            inputs=job.inputs, max_retries=job.max_retries, retry_of=job.job_id,
        )  # fmt: skip
        digest = request_hash(
            "retry", job.project, {"retryOf": job.job_id, **({"changes": changes} if changes else {})}
        )
        return await self._add(draft, requester, digest, None)

    async def _add(self, draft: Job, requester: Requester, digest: str, submission: Submission | None) -> Submitted:
        key = None
        if requester.idempotency_key is not None:
            key = IdempotencyKey(requester.caller, requester.idempotency_key, digest)
        submitted = await self._group.add(_Request(draft, requester.caller, key, submission))
        if submitted.is_new:
            self._signals.job_changed(submitted.job.job_id)
            self._signals.outbox_grew()
        return submitted

    def _write(self, requests: list[_Request]) -> list[Submitted | ImtsError]:
        try:
            return self._units.write(lambda uow: self._accept_all(uow, requests))
        except AlreadyThere:
            # Another replica took one of the keys meanwhile: alone, each finds what is there now.
            return [self._write_alone(request) for request in requests]

    def _write_alone(self, request: _Request) -> Submitted | ImtsError:
        for _ in range(2):
            try:
                return self._units.write(lambda uow: self._accept_all(uow, [request]))[0]
            except AlreadyThere:
                continue
        return Conflict("another request holds this Idempotency-Key; try again", code="idempotency_key_busy")

    def _accept_all(self, uow: UnitOfWork, requests: list[_Request]) -> list[Submitted | ImtsError]:
        names = _Names(uow)
        firsts: dict[tuple[str, str], tuple[Job, str]] = {}
        steps: list[tuple[NewJob, Moved]] = []
        answers: list[Submitted | ImtsError] = []
        for request in requests:
            try:
                replay = _replay(uow, firsts, request.key)
                if replay is None:
                    steps.append(self._accept(names, request))
                    job = steps[-1][0].job
                    if request.key is not None:
                        firsts[request.key.caller, request.key.key] = (job, request.key.request_hash)
                answers.append(replay or Submitted(job, is_new=True))
            except ImtsError as fault:
                answers.append(fault)
        if steps:
            record_new(uow, steps)
        return answers

    def _accept(self, names: _Names, request: _Request) -> tuple[NewJob, Moved]:
        job = request.draft
        if request.submission is not None:
            job = replace(job, inputs=names.resolve(request.submission))
        require_jobs(names.uow, job.terms.depends_on)
        self._gauge.admit(names.uow.jobs.count_queued)
        names.quotas.admit(job.project)
        first = accepted(job)
        return NewJob(first.job, request.caller, request.key), first


def _blank(kind: JobKind, project: str, spec: JsonObject, terms: Scheduling, now: datetime) -> Job:
    worker = WORKER_OF_KIND[kind]
    job = Job(
        job_id=new_id("job"), kind=kind, worker=worker, project=project, spec=spec, inputs=Inputs(),
        phase=Phase.QUEUED, why=f"waiting for the {worker} service", created_at=now, updated_at=now,
        turn=turn_of(now, terms.priority), terms=terms, traceparent=context.traceparent.get(),
    )  # fmt: skip
    if terms.depends_on:
        return replace(job, is_held=True, next_look_at=now, why="waiting for the jobs that it depends on")
    return replace(job, next_look_at=queue_deadline(job))


def require_jobs(uow: UnitOfWork, job_ids: list[str]) -> None:
    """NotFound unless all of them exist; so a circle cannot be made."""
    missing = set(job_ids) - uow.jobs.phases(job_ids).keys() if job_ids else set()
    if missing:
        raise NotFound(f"there is no job {min(missing)} to depend on", code="job_not_found", param="dependsOn")


def _replay(
    uow: UnitOfWork, firsts: dict[tuple[str, str], tuple[Job, str]], key: IdempotencyKey | None
) -> Submitted | None:
    """The job that this key made before; Conflict when it was for another request."""
    if key is None:
        return None
    known = firsts.get((key.caller, key.key)) or uow.jobs.find_by_key(key.caller, key.key)
    if known is None:
        return None
    job, digest = known
    if digest != key.request_hash:
        raise Conflict(
            "this Idempotency-Key was used for a different request; use a new key for a new request",
            param="Idempotency-Key", code="idempotency_key_reused",
        )  # fmt: skip
    return Submitted(job, is_new=False)
