"""Takes chat completions from callers to whoever answers for the model."""

import asyncio
from collections.abc import Callable, Mapping

from orchestrator.domain.model import ModelVersion
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.domain.serving import ServingPeer, Upstream, in_order
from orchestrator.domain.sight import require_text_model
from orchestrator.domain.submission import Named, require_purpose
from shared.contracts.chat import ChatRequest
from shared.contracts.serving import ServingCall, ServingView, ServingViews
from shared.kit.errors import ImtsError, PeerUnavailable
from shared.kit.flows import Flow
from shared.kit.tasks import in_thread


class Waiter:
    """Knows who serves what."""

    def __init__(
        self,
        units: UnitsOfWork,
        peers: Callable[[], Mapping[str, ServingPeer]],
        upstream: Upstream | None,
    ) -> None:
        self._units = units
        self._peers = peers
        self._upstream = upstream

    async def answer(self, request: ChatRequest) -> Flow:
        """The model's answer; NotFound when there is no such model, PeerUnavailable when nobody can serve it."""
        model = await in_thread(self._find, request.model)
        if self._upstream is not None and await self._upstream.has(model.reference):
            return await self._upstream.answer(model.reference, request)
        call = ServingCall(model=model.as_input(), request=request)
        peers = self._peers()
        silence: PeerUnavailable | None = None
        for name in in_order(model.base, peers):
            try:
                return await peers[name].answer(call)
            except PeerUnavailable as fault:
                silence = fault
        raise silence or PeerUnavailable("no training service is named in the settings")

    def _find(self, reference: str) -> ModelVersion:
        model = self._units.read(lambda uow: uow.models.require(reference, "model"))
        named = Named(reference, "model")
        require_purpose(named, model.purpose)
        require_text_model(named, model)
        return model

    async def look_around(self) -> ServingViews:
        """How serving stands wherever somebody answers."""
        peers = self._peers()
        views = await asyncio.gather(*(_view(name, peer) for name, peer in peers.items()))
        return ServingViews(data=[view for view in views if view is not None])


async def _view(name: str, peer: ServingPeer) -> ServingView | None:
    try:
        return (await peer.view()).model_copy(update={"worker": name})
    except ImtsError:
        return None
