"""Who answers chat completions, and in which order they are asked."""

import hashlib
from collections.abc import Collection
from typing import Protocol

from shared.contracts.chat import ChatRequest
from shared.contracts.serving import ServingCall, ServingView
from shared.kit.flows import Flow


class ServingPeer(Protocol):
    """A training service, whose engine answers."""

    async def answer(self, call: ServingCall) -> Flow:
        """The caller closes the flow. PeerUnavailable when nobody is there."""
        ...

    async def view(self) -> ServingView: ...


class Upstream(Protocol):
    """Another server that speaks OpenAI's API, such as vLLM, with some of the registry's models."""

    async def has(self, model: str) -> bool:
        """Whether it lists this `name@version`; False when it does not answer."""
        ...

    async def answer(self, model: str, request: ChatRequest) -> Flow:
        """The caller closes the flow."""
        ...


def in_order(base: str, names: Collection[str]) -> list[str]:
    """All names, the one that these weights belong to first: each base is in one memory, whoever asks."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{base} {name}".encode()).digest())
