"""The stream service: where events are appended, sealed and read."""

from orchestrator.clients.readiness import state_of
from shared.contracts.events import AppendRequest, EventPage, ProducerMark, SealRequest
from shared.contracts.jobs import PeerState
from shared.contracts.work import Removed
from shared.kit.peer import PeerClient


class HttpStream:
    """`StreamPeer` over HTTP."""

    def __init__(self, client: PeerClient) -> None:
        self._client = client

    async def state(self) -> PeerState:
        return await state_of("stream", self._client)

    async def append(self, topic: str, request: AppendRequest) -> ProducerMark:
        return await self._client.call("POST", f"/v1/topics/{topic}/events", ProducerMark, body=request)

    async def seal(self, topic: str, producer: str, at: int) -> ProducerMark:
        path = f"/v1/topics/{topic}/producers/{producer}/seal"
        return await self._client.call("PUT", path, ProducerMark, body=SealRequest(at=at))

    async def events(self, topic: str, after: int, limit: int) -> EventPage:
        query = {"after": after, "limit": limit}
        return await self._client.call("GET", f"/v1/topics/{topic}/events", EventPage, query=query)

    async def remove(self, topic: str) -> None:
        await self._client.call("DELETE", f"/v1/topics/{topic}", Removed)
