"""`/api/workers`: who runs jobs, and the operator's word about them."""

from typing import Annotated

from fastapi import Path

from orchestrator.dependencies import CallerDep, Clocked, Mesh, SignalsDep, Units
from orchestrator.domain.audit import By
from orchestrator.operations.workers import list_workers, rule
from shared.contracts.workers import WorkerList, WorkerState, WorkerView
from shared.kit.application import api_router
from shared.kit.auth import require_admin
from shared.kit.tasks import in_thread

routes = api_router("/api/workers", "workers")
WorkerName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,95}$")]


@routes.get("")
async def list_all(units: Units, mesh: Mesh) -> WorkerList:
    """Every worker, what it has and what it says of itself."""
    return WorkerList(data=await list_workers(units, mesh))


def _add(verb: str, state: WorkerState, description: str) -> None:
    async def change(
        name: WorkerName, units: Units, mesh: Mesh, signals: SignalsDep, clock: Clocked, caller: CallerDep
    ) -> WorkerView:
        require_admin(caller)
        await in_thread(rule, units, mesh, signals, name, state, By(caller.name, clock.now()))
        return next(worker for worker in await list_workers(units, mesh) if worker.name == name)

    routes.add_api_route(f"/{{name}}/{verb}", change, methods=["POST"], name=verb, description=description)


_add("drain", WorkerState.DRAINING, "No new attempts there; running ones finish. Admins only.")
_add(
    "forget",
    WorkerState.FORGOTTEN,
    "Its host is gone for good: its attempts are lost, and new ones start elsewhere. Admins only.",
)
_add("admit", WorkerState.ACTIVE, "Take a drained or forgotten worker back. Admins only.")
