"""`/api/training/control` and `/api/training/jobs/{jobId}/control`: what a running training is to do now."""

from fastapi import APIRouter

from orchestrator.dependencies import CallerDep, Clocked, IdempotencyKeyHeader, Mesh, SignalsDep, Units
from orchestrator.domain.audit import By
from orchestrator.operations.command import command_job
from shared.contracts.commands import CommandRequest, CommandView, JobCommandRequest
from shared.kit.application import api_router

routes: APIRouter = api_router("/api/training", "training")


@routes.post("/jobs/{job_id}/control", status_code=202)
async def control(
    job_id: str,
    asked: CommandRequest,
    units: Units,
    mesh: Mesh,
    signals: SignalsDep,
    clock: Clocked,
    caller: CallerDep,
    idempotency_key: IdempotencyKeyHeader = None,
) -> CommandView:
    """Have a running training do something and go on; an event of its log says what was done at which step."""
    return await command_job(units, mesh, signals, job_id, asked, By(caller.name, clock.now()), idempotency_key)


@routes.post("/control", status_code=202)
async def control_named(
    asked: JobCommandRequest,
    units: Units,
    mesh: Mesh,
    signals: SignalsDep,
    clock: Clocked,
    caller: CallerDep,
    idempotency_key: IdempotencyKeyHeader = None,
) -> CommandView:
    """The same for the job that the body names."""
    return await command_job(units, mesh, signals, asked.job_id, asked, By(caller.name, clock.now()), idempotency_key)
