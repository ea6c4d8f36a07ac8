"""`/serving`: chat completions for the orchestrator, which knows what a model's name stands for."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response

from services.training.serving.desk import Desk
from services.training.serving.wire import reply
from shared.contracts.serving import ServingCall, ServingView
from shared.kit.application import Caller, api_router
from shared.kit.auth import require_service
from shared.kit.flows import Flow
from shared.kit.sending import FlowResponse, unless_gone

PREFIX = "/serving"
MAX_CALL_BYTES = 4 << 20
routes = api_router(PREFIX, "serving")


async def _desk(connection: HTTPConnection) -> Desk:
    desk = connection.app.state.desk
    assert isinstance(desk, Desk)
    return desk


DeskDep = Annotated[Desk, Depends(_desk)]


@routes.post("/completions", response_class=Response)
async def complete(call: ServingCall, desk: DeskDep, caller: Caller, request: Request) -> Response:
    """Answer a conversation, in OpenAI's wire shape; services only."""
    require_service(caller)

    async def begin() -> Flow:
        conversation = await desk.ask(call)
        try:
            return await reply(call, conversation)
        except BaseException:
            conversation.close()
            raise

    return FlowResponse(await unless_gone(request.receive, begin()))


@routes.get("")
async def see(desk: DeskDep) -> ServingView:
    """How serving stands here."""
    return desk.view()
