"""`/plans`: what a training would take, for the orchestrator, which knows what names stand for."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from services.training.planning.planner import Planner
from shared.contracts.plans import PlanCall, TrainingPlan
from shared.kit.application import Caller, api_router
from shared.kit.auth import require_service

routes = api_router("/plans", "plans")


async def _planner(connection: HTTPConnection) -> Planner:
    planner = connection.app.state.planner
    assert isinstance(planner, Planner)
    return planner


@routes.post("")
async def make(call: PlanCall, planner: Annotated[Planner, Depends(_planner)], caller: Caller) -> TrainingPlan:
    """Rehearse a training without doing it; services only."""
    require_service(caller)
    return await planner.plan(call)
