"""A worker service, over the one protocol that all of them speak."""

from orchestrator.clients.readiness import state_of
from shared.contracts.commands import Command
from shared.contracts.jobs import LogPage, PeerState
from shared.contracts.log_lines import LineQuery, LogLines
from shared.contracts.work import AttemptSpec, AttemptView, Capacity, Control, Removed
from shared.kit.peer import PeerClient


class HttpWorker:
    """`WorkerPeer` over HTTP."""

    def __init__(self, name: str, client: PeerClient) -> None:
        self._name = name
        self._client = client

    async def state(self) -> PeerState:
        return await state_of(self._name, self._client)

    async def start(self, spec: AttemptSpec) -> AttemptView:
        return await self._client.call("PUT", f"/jobs/{spec.attempt_id}", AttemptView, body=spec)

    async def look(self, attempt_id: str) -> AttemptView:
        return await self._client.call("GET", f"/jobs/{attempt_id}", AttemptView)

    async def control(self, attempt_id: str, wanted: Control) -> AttemptView:
        return await self._client.call("POST", f"/jobs/{attempt_id}/{wanted}", AttemptView)

    async def command(self, attempt_id: str, wanted: Command) -> AttemptView:
        return await self._client.call("POST", f"/jobs/{attempt_id}/commands", AttemptView, body=wanted)

    async def log(self, attempt_id: str, offset: int, limit: int) -> LogPage:
        query = {"offset": offset, "limit": limit}
        return await self._client.call("GET", f"/jobs/{attempt_id}/log", LogPage, query=query)

    async def log_lines(self, attempt_id: str, query: LineQuery) -> LogLines:
        asked = query.model_dump(mode="json", exclude_defaults=True)
        return await self._client.call("GET", f"/jobs/{attempt_id}/log/lines", LogLines, query=asked)

    async def remove(self, attempt_id: str) -> None:
        await self._client.call("DELETE", f"/jobs/{attempt_id}", Removed)

    async def capacity(self) -> Capacity:
        return await self._client.call("GET", "/capacity", Capacity)
