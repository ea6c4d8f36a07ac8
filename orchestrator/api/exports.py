"""Submitting an export: `POST /api/export/jobs`."""

from fastapi import APIRouter, Response

from orchestrator.api.job_views import answer
from orchestrator.dependencies import CallerDep, Config, IdempotencyKeyHeader, IntakeDep, Project, Store, Units
from orchestrator.domain.submission import export_submission
from orchestrator.operations.exports import Targets, check_family
from orchestrator.operations.requester import Requester
from shared.contracts.exports import ExportSpec
from shared.contracts.jobs import JobView
from shared.kit.targets import parse_hubs, parse_targets
from shared.kit.tasks import in_thread


def add_export_route(routes: APIRouter) -> None:
    """Give the export jobs' router its way in."""

    @routes.post("", status_code=202)
    async def submit(
        spec: ExportSpec,
        intake: IntakeDep,
        units: Units,
        store: Store,
        settings: Config,
        caller: CallerDep,
        response: Response,
        project: Project = "default",
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> JobView:
        """Merge, write GGUF, fill Ollama, or push to a hub; the same Idempotency-Key answers the same job."""
        Targets(parse_targets(settings.ollama_targets), parse_hubs(settings.hub_targets)).check(spec)
        await in_thread(check_family, units, store, spec)
        requester = Requester(caller.name, project, idempotency_key)
        return answer(await intake.submit(export_submission(spec), requester), response)
