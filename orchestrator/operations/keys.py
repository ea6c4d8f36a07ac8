"""API keys: the one the operator preset, and who holds which."""

from orchestrator.domain.ports import UnitsOfWork
from shared.kit.auth import Principal, hash_key
from shared.kit.tasks import in_thread

PRESET_NAME = "admin"


def preset_key(units: UnitsOfWork, key: str) -> None:
    """Let the operator's key in, and the one it replaces no longer; an empty key changes nothing."""
    if key:
        units.write(lambda uow: uow.keys.preset(PRESET_NAME, hash_key(key)))


def holder_of(units: UnitsOfWork, key_hash: str) -> Principal | None:
    """Who holds the key with this hash."""
    holder = units.read(lambda uow: uow.keys.find(key_hash))
    return None if holder is None else Principal(kind="user", name=holder.name, is_admin=holder.is_admin)


class DatabaseKeys:
    """The orchestrator's own key directory."""

    def __init__(self, units: UnitsOfWork) -> None:
        self._units = units

    async def identify(self, key_hash: str) -> Principal | None:
        return await in_thread(holder_of, self._units, key_hash)
