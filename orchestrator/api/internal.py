"""`/internal`: what only services of the mesh may say."""

from orchestrator.dependencies import CallerDep, HintsDep
from shared.contracts.work import Hint
from shared.kit.application import api_router
from shared.kit.auth import require_service

routes = api_router("/internal", "internal")


@routes.post("/hints", status_code=202)
async def hint(body: Hint, caller: CallerDep, hints: HintsDep) -> Hint:
    """Look at this job now; losing a hint costs a second."""
    require_service(caller)
    hints.add(body.job_id)
    return body
