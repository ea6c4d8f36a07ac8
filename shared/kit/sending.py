"""Sends answers while they are made, and drops them when their caller hangs up."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.contracts.problems import ProblemBody
from shared.kit.error_handlers import problem_of
from shared.kit.errors import ImtsError
from shared.kit.flows import EVENTS, Flow

T = TypeVar("T")


class CallerGone(ImtsError):
    """Whoever asked has hung up; nobody reads this."""

    status = 499
    code = "caller_gone"


def fault_event(fault: ImtsError) -> bytes:
    """The error body as an event, for a stream that goes no further."""
    return b"data: " + ProblemBody(error=problem_of(fault)).model_dump_json().encode() + b"\n\n"


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, whose request was read to its end; CallerGone, and the work cancelled, when the caller hangs up."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise CallerGone("the caller has hung up")
        return doing.result()
    finally:
        for task in (doing, leaving):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


class FlowResponse(Response):
    """Sends a flow's chunks as they come."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(media_type=flow.media_type, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._flow = flow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(CallerGone):
                await unless_gone(receive, self._send(send))
        finally:
            await self._flow.close()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for chunk in self._flow.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except ImtsError as fault:
            # The status was sent long ago. Another body is left without its end, which its reader notices.
            if not self._flow.media_type.startswith(EVENTS):
                return
            await send({"type": "http.response.body", "body": b"\n\n" + fault_event(fault), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
