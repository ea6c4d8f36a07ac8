"""Who answers chat completions: training services, and another server where one is named."""

from shared.contracts.chat import ChatRequest
from shared.contracts.serving import ServingCall, ServingView
from shared.kit.flows import Flow
from shared.kit.peer import PeerClient
from shared.kit.upstream import OpenAiServer


class HttpServing:
    """`ServingPeer` over HTTP; its client is its own, as many long answers must not keep jobs waiting."""

    def __init__(self, client: PeerClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def answer(self, call: ServingCall) -> Flow:
        return await self._client.flow("/serving/completions", call, self._timeout_s)

    async def view(self) -> ServingView:
        return await self._client.call("GET", "/serving", ServingView)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()


class HttpUpstream:
    """`Upstream` over HTTP: it knows the registry's models by `name@version`."""

    def __init__(self, server: OpenAiServer) -> None:
        self._server = server

    async def has(self, model: str) -> bool:
        return await self._server.has(model)

    async def answer(self, model: str, request: ChatRequest) -> Flow:
        body = request.model_copy(update={"model": model})
        return await self._server.answer(body.model_dump_json(exclude_none=True).encode())

    async def close(self) -> None:
        """Give the connections back."""
        await self._server.close()
