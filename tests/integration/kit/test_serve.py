"""A service's sockets: many callers at once are let in at once."""

import asyncio
import contextlib
import socket

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from shared.kit.serve import bind
from tests.waiting import become

_CALLERS = 400


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody asks anything")


async def _turns_to_let_in(callers: int) -> int:
    config = uvicorn.Config(_app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    sockets = bind(config)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets))
    await become(lambda: server.started)
    turns = 0
    loop = asyncio.get_running_loop()

    def turn() -> None:
        nonlocal turns
        turns += 1
        if len(server.server_state.connections) < callers:
            loop.call_soon(turn)

    with contextlib.ExitStack() as stack:
        for _ in range(callers):
            stack.enter_context(socket.create_connection(sockets[0].getsockname()))
        turn()
        await become(lambda: len(server.server_state.connections) == callers)
    server.should_exit = True
    await serving
    return turns


def test_callers_that_come_together_do_not_wait_for_a_turn_of_the_loop_each() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(_turns_to_let_in(_CALLERS)) < _CALLERS / 8
