"""The door to httpx: how one service calls another, and how its faults come back as the same classes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from shared.contracts.access import Identity
from shared.contracts.base import JsonObject
from shared.contracts.problems import ProblemBody
from shared.kit import context
from shared.kit.auth import Principal, ServiceTokens
from shared.kit.circuit import Circuit
from shared.kit.errors import ImtsError, NotFound, PeerUnavailable, ServerFault, Unavailable, error_for
from shared.kit.flows import Flow
from shared.kit.metrics import PeerGauges

R = TypeVar("R", bound=BaseModel)
_IDEMPOTENT = frozenset({"GET", "PUT"})
_CONNECT_S = 2.0
_TRIES = 2
"""Of idempotent calls whose connection broke; a peer too slow to answer is not helped by being asked again."""


def fault_of(peer: str, response: httpx.Response) -> ImtsError:
    """The exception that the peer's error body stands for."""
    try:
        problem = ProblemBody.model_validate_json(response.content).error
    except ValidationError:
        return error_for(response.status_code, "")(f"{peer} answered {response.status_code} without an error body")
    kind = error_for(response.status_code, problem.code)
    return kind(
        problem.message, param=problem.param, code=problem.code, details=problem.details,
        retry_after_s=_retry_after(response),
    )  # fmt: skip


def _retry_after(response: httpx.Response) -> float | None:
    with suppress(KeyError, ValueError):
        return float(response.headers["retry-after"])
    return None


class PeerClient:
    """Calls one service; silence becomes PeerUnavailable, refusals become the peer's own error classes."""

    def __init__(self, peer: str, base_url: str, tokens: ServiceTokens, timeout_s: float = 5.0) -> None:
        self._peer = peer
        self._tokens = tokens
        self._gauges = PeerGauges(tokens.service, peer)
        self.circuit = Circuit()
        self.base_url = base_url
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)), trust_env=False
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    def _headers(self) -> dict[str, str]:
        headers = {"authorization": f"Bearer {self._tokens.issue(self._peer)}"}
        if request_id := context.request_id.get():
            headers["x-request-id"] = request_id
        if trace := context.traceparent.get():
            headers["traceparent"] = trace
        return headers

    async def _send(
        self, method: str, path: str, body: BaseModel | None, query: Mapping[str, str | int]
    ) -> httpx.Response:
        headers = self._headers()
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = body.model_dump_json()
        tries = _TRIES if method in _IDEMPOTENT else 1
        for left in reversed(range(tries)):
            if not self.circuit.admits():
                self._gauges.failed("circuit_open")
                raise PeerUnavailable(f"{self._peer} has not answered for {self.circuit.silent_for_s or 0:.0f} s")
            try:
                with self._gauges.timed(method):
                    response = await self._http.request(
                        method, path, headers=headers, content=content, params=dict(query)
                    )
            except httpx.HTTPError as fault:
                self._note_silence(fault)
                if left and not isinstance(fault, httpx.TimeoutException):
                    continue
                raise PeerUnavailable(f"{self._peer} did not answer ({type(fault).__name__})") from fault
            self._note_answer(response)
            if response.is_error:
                raise fault_of(self._peer, response)
            return response
        raise AssertionError("unreachable: the last try returns or raises")

    def _note_silence(self, fault: httpx.HTTPError) -> None:
        self.circuit.failed()
        self._gauges.failed("timeout" if isinstance(fault, httpx.TimeoutException) else "no_connection")
        self._gauges.circuit(is_open=self.circuit.is_open)

    def _note_answer(self, response: httpx.Response) -> None:
        self.circuit.answered()
        self._gauges.circuit(is_open=False)
        if response.is_error:
            self._gauges.failed("fault" if response.is_server_error else "refused")

    @property
    def standing(self) -> JsonObject:
        """For `/readyz`: whether the peer answers this service."""
        silent_s = self.circuit.silent_for_s
        return {
            "name": self._peer, "circuit": "open" if self.circuit.is_open else "closed",
            "silent_for_s": None if silent_s is None else round(silent_s, 1),
        }  # fmt: skip

    async def call(
        self,
        method: str,
        path: str,
        reply: type[R],
        *,
        body: BaseModel | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> R:
        """Send `body`, read `reply`; unknown fields in the answer are the peer being newer, not an error."""
        response = await self._send(method, path, body, query or {})
        try:
            return reply.model_validate_json(response.content, extra="ignore")
        except ValidationError as fault:
            raise ServerFault(f"{self._peer} answered in a shape we do not know") from fault

    async def flow(self, path: str, body: BaseModel, timeout_s: float) -> Flow:
        """Post `body`; the answer is passed on as it comes, no pause longer than `timeout_s`. The caller closes it."""
        if not self.circuit.admits():
            raise PeerUnavailable(f"{self._peer} has not answered for {self.circuit.silent_for_s or 0:.0f} s")
        request = self._http.build_request(
            "POST", path, headers={**self._headers(), "content-type": "application/json"},
            content=body.model_dump_json(exclude_none=True), timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
        )  # fmt: skip
        try:
            with self._gauges.timed("POST"):
                response = await self._http.send(request, stream=True)
        except httpx.HTTPError as fault:
            self._note_silence(fault)
            raise PeerUnavailable(f"{self._peer} did not answer ({type(fault).__name__})", retry_after_s=1) from fault
        self._note_answer(response)
        if response.is_error:
            try:
                await response.aread()
            finally:
                await response.aclose()
            raise fault_of(self._peer, response)
        return Flow(response.headers.get("content-type", ""), self._chunks(response), response.aclose)

    async def _chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.aiter_raw():
                yield chunk
        except httpx.HTTPError as fault:
            raise Unavailable(f"{self._peer} broke off its answer", code="answer_broken_off") from fault

    async def tell(self, path: str, body: BaseModel) -> None:
        """Post `body`; whatever the peer answers to it, short of a refusal, is fine."""
        await self._send("POST", path, body, {})


class OrchestratorKeys:
    """Key directory of every other service: the orchestrator is asked by the key's hash."""

    def __init__(self, orchestrator: PeerClient) -> None:
        self._orchestrator = orchestrator

    async def identify(self, key_hash: str) -> Principal | None:
        try:
            identity = await self._orchestrator.call("GET", f"/internal/keys/{key_hash}", Identity)
        except NotFound:
            return None
        return Principal(kind="user", name=identity.name, is_admin=identity.is_admin)
