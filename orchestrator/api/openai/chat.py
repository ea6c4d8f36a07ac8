"""`POST /v1/chat/completions`: any model version of the registry answers."""

from fastapi import Request
from starlette.responses import Response

from orchestrator.dependencies import WaiterDep
from shared.contracts.chat import ChatRequest
from shared.contracts.serving import ServingViews
from shared.kit.application import api_router
from shared.kit.sending import FlowResponse, unless_gone

routes = api_router(tag="openai")


@routes.post("/v1/chat/completions", response_class=Response)
async def complete(body: ChatRequest, waiter: WaiterDep, request: Request) -> Response:
    """Answer a conversation: one JSON body, or SSE with `stream: true`."""
    return FlowResponse(await unless_gone(request.receive, waiter.answer(body)))


@routes.get("/api/serving")
async def see_serving(waiter: WaiterDep) -> ServingViews:
    """Engines, what they have in memory, and how many calls are with them."""
    return await waiter.look_around()
