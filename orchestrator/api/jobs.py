"""`/api/{training,analysis,evaluation,export}/jobs` and `/api/jobs`: one set of routes for every kind."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Body, Query, Response

from orchestrator.api.artifacts import add_artifact_route
from orchestrator.api.exports import add_export_route
from orchestrator.api.job_views import answer, attempt_of, job_view, move_of
from orchestrator.api.pagination import (
    AfterSeq,
    AsSuggested,
    AttemptNumber,
    EventLimit,
    JobCursor,
    LineQueryParameters,
    LogLimit,
    LogOffset,
    PageSize,
)
from orchestrator.dependencies import (
    CallerDep,
    Clocked,
    Explaining,
    IdempotencyKeyHeader,
    IntakeDep,
    Mesh,
    Project,
    SignalsDep,
    Units,
)
from orchestrator.domain.audit import By
from orchestrator.domain.job import Job
from orchestrator.domain.ports import JobFilter, Signals, UnitsOfWork
from orchestrator.domain.submission import (
    Submission,
    analysis_submission,
    evaluation_submission,
    training_submission,
)
from orchestrator.operations.artifacts import artifacts_of
from orchestrator.operations.clone import clone_job
from orchestrator.operations.delete import delete_job
from orchestrator.operations.events import read_events
from orchestrator.operations.find import find_attempts, find_explained, find_history
from orchestrator.operations.list import list_jobs
from orchestrator.operations.logs import read_log, read_log_lines
from orchestrator.operations.pause import pause_job
from orchestrator.operations.requester import Requester
from orchestrator.operations.resume import resume_job
from orchestrator.operations.retry import retry_job
from orchestrator.operations.stop import stop_job
from shared.contracts.analysis import AnalysisSpec
from shared.contracts.base import Contract, JsonObject, Name, SweepId
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.events import EventPage
from shared.contracts.jobs import ArtifactList, AttemptList, JobHistory, JobPage, JobView, LogPage, Phase
from shared.contracts.log_lines import LogLines
from shared.contracts.training import TrainingSpec
from shared.contracts.work import JobKind
from shared.kit.application import api_router

Spec = TypeVar("Spec", bound=Contract)
Wish = Callable[[UnitsOfWork, Signals, str, JobKind | None, By], Job]


def _add_submit(routes: APIRouter, contract: type[Spec], submission_of: Callable[[Spec], Submission]) -> None:
    @routes.post("", status_code=202)
    async def submit(
        spec: Annotated[contract, Body()],  # type: ignore[valid-type]
        intake: IntakeDep,
        caller: CallerDep,
        response: Response,
        project: Project = "default",
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> JobView:
        """Accept a job: it is written down when this answers. The same Idempotency-Key answers the same job."""
        requester = Requester(caller.name, project, idempotency_key)
        return answer(await intake.submit(submission_of(spec), requester), response)


def _add_reading(routes: APIRouter, kind: JobKind | None) -> None:
    @routes.get("")
    def list_all(
        units: Units,
        explainer: Explaining,
        status: Phase | None = None,
        project: Annotated[Name | None, Query()] = None,
        sweep: Annotated[SweepId | None, Query()] = None,
        cursor: JobCursor = None,
        limit: PageSize = 50,
    ) -> JobPage:
        """Newest first."""
        found = list_jobs(units, explainer, JobFilter(kind, status, project, sweep), cursor, limit)
        return JobPage(
            data=[job_view(job, found.explained.get(job.job_id)) for job in found.jobs], has_more=found.has_more,
            next_cursor=found.jobs[-1].job_id if found.has_more else None,
        )  # fmt: skip

    @routes.get("/{job_id}")
    def get_one(job_id: str, units: Units, explainer: Explaining) -> JobView:
        """Where the job is, its newest figures, and why it is there; in the queue, its place and what it waits for."""
        return job_view(*find_explained(units, explainer, job_id, kind))

    @routes.get("/{job_id}/history")
    def history(job_id: str, units: Units) -> JobHistory:
        """Every move, oldest first."""
        return JobHistory(data=[move_of(entry) for entry in find_history(units, job_id, kind)])

    @routes.get("/{job_id}/attempts")
    def attempts(job_id: str, units: Units) -> AttemptList:
        """Every try, oldest first."""
        return AttemptList(data=[attempt_of(attempt) for attempt in find_attempts(units, job_id, kind)])

    @routes.get("/{job_id}/artifacts")
    def artifacts(job_id: str, units: Units) -> ArtifactList:
        """What the job left in the store."""
        return ArtifactList(data=units.read(lambda uow: artifacts_of(uow, job_id, kind)))


def _add_peer_reading(routes: APIRouter, kind: JobKind | None) -> None:
    @routes.get("/{job_id}/logs")
    async def logs(
        job_id: str,
        units: Units,
        mesh: Mesh,
        attempt: AttemptNumber = None,
        offset: LogOffset = 0,
        limit: LogLimit = 64 * 1024,
    ) -> LogPage:
        """What an attempt printed; the newest one's unless `attempt` is given."""
        return await read_log(units, mesh, job_id, kind, attempt, offset, limit)

    @routes.get("/{job_id}/logs/lines")
    async def log_lines(
        job_id: str, units: Units, mesh: Mesh, query: LineQueryParameters, attempt: AttemptNumber = None
    ) -> LogLines:
        """Lines that an attempt printed: those of a level or more, those that say `search` in any case."""
        return await read_log_lines(units, mesh, job_id, kind, attempt, query)

    @routes.get("/{job_id}/events")
    async def events(job_id: str, units: Units, mesh: Mesh, after: AfterSeq = 0, limit: EventLimit = 200) -> EventPage:
        """The job's event log, oldest first; numbered from 1 without gaps."""
        return await read_events(units, mesh, job_id, kind, after, limit)


def _add_wishes(routes: APIRouter, kind: JobKind | None) -> None:
    def add(verb: str, carry_out: Wish, description: str) -> None:
        def wish(job_id: str, units: Units, signals: SignalsDep, clock: Clocked, caller: CallerDep) -> JobView:
            return job_view(carry_out(units, signals, job_id, kind, By(caller.name, clock.now())))

        routes.add_api_route(
            f"/{{job_id}}/{verb}", wish, methods=["POST"], status_code=202, name=verb, description=description
        )

    add("stop", stop_job, "Stop it; what was done so far stays.")
    add("pause", pause_job, "Pause it at a checkpoint.")
    add("resume", resume_job, "Go on from the newest checkpoint.")

    @routes.delete("/{job_id}", status_code=204)
    def delete(job_id: str, units: Units, signals: SignalsDep, clock: Clocked, caller: CallerDep) -> None:
        """Delete a job that is over, with its attempts, checkpoints and log; models and data sets stay."""
        delete_job(units, signals, job_id, kind, By(caller.name, clock.now()))

    @routes.post("/{job_id}/retry", status_code=202)
    async def retry(
        job_id: str,
        units: Units,
        intake: IntakeDep,
        caller: CallerDep,
        response: Response,
        suggested: AsSuggested = False,
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> JobView:
        """A new job with the spec and the very inputs of one that is over, mended as its failure suggests if asked."""
        requester = Requester(caller.name, idempotency_key=idempotency_key)
        return answer(await retry_job(units, intake, job_id, kind, requester, as_suggested=suggested), response)

    @routes.post("/{job_id}/clone", status_code=202)
    async def clone(
        job_id: str,
        patch: Annotated[JsonObject, Body(default_factory=dict, description="fields to change")],
        units: Units,
        intake: IntakeDep,
        caller: CallerDep,
        response: Response,
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> JobView:
        """A new job with the fields of any other but for these; names without a version mean the newest by now."""
        requester = Requester(caller.name, idempotency_key=idempotency_key)
        return answer(await clone_job(units, intake, job_id, kind, requester, patch), response)


def _job_routes(path: str, kind: JobKind | None) -> APIRouter:
    routes = api_router(f"{path}/jobs", path.removeprefix("/api/") if kind else "jobs")
    _add_reading(routes, kind)
    _add_peer_reading(routes, kind)
    _add_wishes(routes, kind)
    add_artifact_route(routes, kind)
    return routes


def job_routers() -> list[APIRouter]:
    """The routers of every kind, and the one of all kinds."""
    training = _job_routes("/api/training", JobKind.TRAINING)
    _add_submit(training, TrainingSpec, training_submission)
    analysis = _job_routes("/api/analysis", JobKind.ANALYSIS)
    _add_submit(analysis, AnalysisSpec, analysis_submission)
    evaluation = _job_routes("/api/evaluation", JobKind.EVALUATION)
    _add_submit(evaluation, EvaluationSpec, evaluation_submission)
    export = _job_routes("/api/export", JobKind.EXPORT)
    add_export_route(export)
    return [training, analysis, evaluation, export, _job_routes("/api", None)]
