"""Submitting a job: names resolved, one row written, the same key never twice."""

from dataclasses import dataclass, replace
from itertools import count

from orchestrator.domain.idempotency import IdempotencyKey, replayed, request_hash, require_same
from orchestrator.domain.job import Job, NewJob
from orchestrator.domain.job_machine import Moved
from orchestrator.domain.ports import AlreadyThere, Signals, UnitOfWork, UnitsOfWork
from orchestrator.domain.queueing.gauge import QueueGauge
from orchestrator.domain.recording import record_new
from orchestrator.domain.submission import Submission
from orchestrator.operations.accepting import Acceptance, blank_job
from orchestrator.operations.grouping import Group
from orchestrator.operations.requester import Requester, while_keys_are_taken
from shared.contracts.base import JsonObject
from shared.contracts.scheduling import NO_TERMS, Scheduling
from shared.kit.clock import Clock
from shared.kit.errors import Conflict, ImtsError


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a request stands for; `is_new` is False when its key was used before."""

    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Request:
    """A job to be, and the names that it needs looked up; none when its inputs are known."""

    draft: Job
    caller: str
    key: IdempotencyKey | None
    submission: Submission | None


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

    def acceptance(self, uow: UnitOfWork) -> Acceptance:
        """The way in for new jobs of one transaction."""
        return Acceptance(uow, self._gauge)

    def draft(self, submission: Submission, project: str) -> Job:
        """The job that a request asks for, before its names are looked up."""
        terms = submission.terms.with_defaults(self._defaults)
        draft = blank_job(submission.kind, project, submission.spec, terms, self._clock.now())
        return replace(draft, max_retries=submission.max_retries)

    async def submit(
        self, submission: Submission, requester: Requester, *, cloned_from: str | None = None
    ) -> Submitted:
        """Accept a request; RateLimited when too many wait, Conflict when its key named another request."""
        draft = replace(self.draft(submission, requester.project), cloned_from=cloned_from)
        kind = submission.kind if cloned_from is None else f"clone of {cloned_from}"
        digest = request_hash(kind, requester.project, submission.spec, submission.terms)
        return await self._add(draft, requester, digest, submission)

    async def resubmit(self, job: Job, requester: Requester, changes: JsonObject) -> Submitted:
        """A new job with the spec, but for `changes`, and the very inputs of an earlier one."""
        draft = replace(
            blank_job(job.kind, job.project, {**job.spec, **changes}, job.terms, self._clock.now()),
            inputs=job.inputs, max_retries=job.max_retries, retry_of=job.job_id,
        )  # fmt: skip
        digest = request_hash(
            "retry", job.project, {"retryOf": job.job_id, **({"changes": changes} if changes else {})}
        )
        return await self._add(draft, requester, digest, None)

    async def _add(self, draft: Job, requester: Requester, digest: str, submission: Submission | None) -> Submitted:
        submitted = await self._group.add(_Request(draft, requester.caller, requester.key_for(digest), submission))
        if submitted.is_new:
            self._signals.job_changed(submitted.job.job_id)
            self._signals.outbox_grew()
        return submitted

    def _write(self, requests: list[_Request]) -> list[Submitted | ImtsError]:
        runs = count()

        def write(uow: UnitOfWork) -> list[Submitted | ImtsError]:
            # Run again, the database may have carried out the commit before: its word was lost, not the jobs.
            return self._accept_all(uow, requests, may_stand=next(runs) > 0)

        try:
            return self._units.write(write)
        except AlreadyThere:
            # Another replica took one of the keys meanwhile: alone, each finds what is there now.
            return [self._write_alone(request) for request in requests]

    def _write_alone(self, request: _Request) -> Submitted | ImtsError:
        def write(uow: UnitOfWork) -> list[Submitted | ImtsError]:
            return self._accept_all(uow, [request], may_stand=True)

        try:
            return while_keys_are_taken(lambda: self._units.write(write))[0]
        except Conflict as fault:
            return fault

    def _accept_all(self, uow: UnitOfWork, requests: list[_Request], *, may_stand: bool) -> list[Submitted | ImtsError]:
        acceptance = self.acceptance(uow)
        firsts: dict[tuple[str, str], tuple[Job, str]] = {}
        steps: list[tuple[NewJob, Moved]] = []
        answers: list[Submitted | ImtsError] = []
        for request in requests:
            try:
                stands = uow.jobs.find(request.draft.job_id) if may_stand else None
                replay = _replay(uow, firsts, request.key) if stands is None else Submitted(stands, is_new=True)
                if replay is None:
                    first = acceptance.accept(request.draft, request.submission)
                    job = first.job
                    steps.append((NewJob(job, request.caller, request.key), first))
                    if request.key is not None:
                        firsts[request.key.caller, request.key.key] = (job, request.key.request_hash)
                answers.append(replay or Submitted(job, is_new=True))
            except ImtsError as fault:
                answers.append(fault)
        if steps:
            record_new(uow, steps)
        return answers


def _replay(
    uow: UnitOfWork, firsts: dict[tuple[str, str], tuple[Job, str]], key: IdempotencyKey | None
) -> Submitted | None:
    """The job that this key made before; Conflict when it was for another request."""
    if key is None:
        return None
    if first := firsts.get((key.caller, key.key)):
        job, digest = first
        require_same(key, digest)
        return Submitted(job, is_new=False)
    subject = replayed(uow.requests, key)
    known = None if subject is None else uow.jobs.find(subject.removeprefix("job:"))
    return None if known is None else Submitted(known, is_new=False)
