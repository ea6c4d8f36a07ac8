"""The door to a server that speaks OpenAI's API, such as vLLM: which models it has, and its answers passed on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
from pydantic import BaseModel, ValidationError

from shared.kit.errors import ImtsError, PeerUnavailable, RateLimited, ServerFault, Unavailable, error_for
from shared.kit.flows import Flow

_KNOWN_S = 10.0
_CONNECT_S = 2.0


class _Card(BaseModel):
    id: str


class _Cards(BaseModel):
    data: list[_Card]


class _Told(BaseModel):
    message: str = ""
    code: str | int | None = None
    param: str | None = None


class _Body(BaseModel):
    error: _Told


class OpenAiServer:
    """One server at `url` (its `/v1` included); what it lists is remembered for ten seconds."""

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._listed: frozenset[str] = frozenset()
        self._listed_at: float | None = None
        self._looking = asyncio.Lock()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def has(self, model: str) -> bool:
        """Whether it lists the model; False when it does not answer."""
        async with self._looking:
            if self._listed_at is None or time.monotonic() - self._listed_at > _KNOWN_S:
                self._listed = await self._list()
                self._listed_at = time.monotonic()
        return model in self._listed

    async def _list(self) -> frozenset[str]:
        with suppress(httpx.HTTPError, ValidationError):
            response = await self._http.get("/models", timeout=_CONNECT_S)
            if response.is_success:
                return frozenset(card.id for card in _Cards.model_validate_json(response.content).data)
        return frozenset()

    async def answer(self, body: bytes) -> Flow:
        """Pass a chat request on, and its answer back as it comes; the caller closes it."""
        headers = {"content-type": "application/json"}
        request = self._http.build_request("POST", "/chat/completions", headers=headers, content=body)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.HTTPError as fault:
            raise PeerUnavailable(f"the serving upstream did not answer ({type(fault).__name__})") from fault
        if response.is_error:
            try:
                raise _fault_of(response.status_code, await response.aread())
            finally:
                await response.aclose()
        return Flow(response.headers.get("content-type", ""), _chunks(response), response.aclose)


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    except httpx.HTTPError as fault:
        raise Unavailable("the serving upstream broke off its answer", code="answer_broken_off") from fault


def _fault_of(status: int, body: bytes) -> ImtsError:
    try:
        told = _Body.model_validate_json(body).error
    except ValidationError:
        told = _Told()
    if status in {401, 403, 404} or status >= 500:
        # Our key, our list and its faults are none of the caller's making.
        return Unavailable(f"the serving upstream answered {status}", code="upstream_fault", retry_after_s=1)
    kind = error_for(status, "")
    if kind in {RateLimited, ServerFault}:
        return RateLimited("the serving upstream is busy", retry_after_s=1)
    return kind(told.message or f"the serving upstream answered {status}", param=told.param)
