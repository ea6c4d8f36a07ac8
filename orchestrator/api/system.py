"""`/api/system`: the mesh at a glance."""

from orchestrator.dependencies import Config, Mesh
from orchestrator.operations.system import look_around
from shared.contracts.jobs import PeerState, SystemView
from shared.kit.application import VERSION, api_router

routes = api_router("/api/system", "system")


@routes.get("")
async def see_system(settings: Config, mesh: Mesh) -> SystemView:
    """Every service's address, version and state."""
    return await look_around(PeerState(name="orchestrator", url=settings.url, is_ready=True, version=VERSION), mesh)
