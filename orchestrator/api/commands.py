"""`/api/training/control` and `/api/training/jobs/{jobId}/control`: what a running training is to do now."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends

from orchestrator.dependencies import CallerDep, Clocked, IdempotencyKeyHeader, Mesh, SignalsDep, Units
from orchestrator.domain.audit import By
from orchestrator.operations.command import command_job
from shared.contracts.commands import CommandRequest, CommandView, JobCommandRequest
from shared.kit.application import api_router

routes: APIRouter = api_router("/api/training", "training")


@dataclass(frozen=True, slots=True)
class Commander:
    """Who commands, and through what."""

    units: Units
    mesh: Mesh
    signals: SignalsDep
    clock: Clocked
    caller: CallerDep
    idempotency_key: IdempotencyKeyHeader = None

    async def command(self, job_id: str, asked: CommandRequest) -> CommandView:
        """Have the job do it."""
        by = By(self.caller.name, self.clock.now())
        return await command_job(self.units, self.mesh, self.signals, job_id, asked, by, self.idempotency_key)


CommanderDep = Annotated[Commander, Depends()]


@routes.post("/jobs/{job_id}/control", status_code=202)
async def control(job_id: str, asked: CommandRequest, commander: CommanderDep) -> CommandView:
    """Have a running training do something and go on; an event of its log says what was done at which step."""
    return await commander.command(job_id, asked)


@routes.post("/control", status_code=202)
async def control_named(asked: JobCommandRequest, commander: CommanderDep) -> CommandView:
    """The same for the job that the body names."""
    return await commander.command(asked.job_id, asked)
