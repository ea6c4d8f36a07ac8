"""`/internal/keys`: where the other services ask who holds a key."""

from orchestrator.dependencies import CallerDep, Units
from orchestrator.operations.keys import holder_of
from shared.contracts.access import Identity
from shared.contracts.base import Sha256
from shared.kit.application import api_router
from shared.kit.auth import require_service
from shared.kit.errors import NotFound

routes = api_router("/internal/keys", "internal")


@routes.get("/{key_hash}")
def identify(key_hash: Sha256, units: Units, caller: CallerDep) -> Identity:
    """Who holds the key with this SHA-256; services only."""
    require_service(caller)
    principal = holder_of(units, key_hash)
    if principal is None:
        raise NotFound("nobody holds a key with this hash", param="key_hash", code="key_not_found")
    return Identity(name=principal.name, is_admin=principal.is_admin)
