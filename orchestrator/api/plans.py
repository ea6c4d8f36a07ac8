"""`/api/training/plan`: what a training would take, before it is submitted."""

from fastapi import APIRouter

from orchestrator.dependencies import PlanDeskDep
from shared.contracts.plans import TrainingPlan
from shared.contracts.training import TrainingSpec
from shared.kit.application import api_router

routes: APIRouter = api_router("/api/training", "training")


@routes.post("/plan")
async def make(spec: TrainingSpec, desk: PlanDeskDep) -> TrainingPlan:
    """Tokens, steps, memory and time of the same body that a job takes; nothing is written down, nothing trained."""
    return await desk.plan(spec)
