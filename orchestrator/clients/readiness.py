"""Whether a service is ready, told without ever failing."""

from pydantic import BaseModel

from shared.contracts.jobs import PeerState
from shared.kit.errors import ImtsError
from shared.kit.peer import PeerClient


class _Ready(BaseModel):
    """What `/readyz` answers."""

    version: str | None = None
    url: str = ""
    """Where people find the service, which is not always where this one does."""


async def state_of(name: str, client: PeerClient) -> PeerState:
    """The service's state; not ready when it does not answer or says so."""
    try:
        answer = await client.call("GET", "/readyz", _Ready)
    except ImtsError:
        return PeerState(name=name, url=client.base_url, is_ready=False)
    return PeerState(name=name, url=answer.url or client.base_url, is_ready=True, version=answer.version)
