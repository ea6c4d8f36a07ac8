"""The door to uvicorn's HTTP protocol: an answered request gives its socket away, and costs no task from then on."""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_EXTENSION = "imts.handoff"
_PROBE_S = 2.0
_BUFFERED = 32 * 1024
"""What the server queues for a reader before it waits: half of uvicorn's default, as streams are many."""


class Heir(asyncio.Protocol):
    """Takes a connection over from uvicorn, which still counts it until it is lost."""

    __slots__ = ("_connections", "fd", "transport")

    def took_over(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        """The connection is this protocol's from here on."""
        self.transport = transport
        self._connections = connections
        connections.add(self)
        # Stays valid until connection_lost returns.
        self.fd: int = transport.get_extra_info("socket").fileno()

    def connection_lost(self, _: Exception | None) -> None:
        """The connection is gone."""
        self._connections.discard(self)

    def shutdown(self) -> None:
        """Uvicorn wants to stop."""
        self.transport.close()


class HandoffProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which shows itself to the app so that a response can take the socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As before, with a shorter queue."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_BUFFERED)

    def on_message_begin(self) -> None:
        """A request: its scope names this protocol."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: self}  # type: ignore[dict-item]

    @property
    def can_hand_over(self) -> bool:
        """Whether this exchange may: plain text, nothing sent yet, no further request waiting behind it."""
        return self.scheme == "http" and not self.pipeline and not self.cycle.response_started

    async def hand_over(self, send: Send, headers: Sequence[tuple[bytes, bytes]], heir: Heir) -> bool:
        """Answer 200 with `headers` and a body that lasts as long as the connection, which is `heir`'s from here on.

        False when the client has gone. The head goes through `send`, so that every middleware sees an answer.
        """
        cycle, transport = self.cycle, self.transport
        # With any room to queue, the transport could hold bytes back that a write past it would overtake.
        transport.set_write_buffer_limits(high=0)
        cycle.keep_alive = False
        cycle.chunked_encoding = False
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        if cycle.disconnected or transport.is_closing():
            return False
        cycle.response_complete = True
        cycle.message_event.set()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.connections.discard(self)
        transport.set_protocol(heir)
        heir.took_over(transport, self.connections)
        self.parser = None
        return True


def exchange_of(scope: Scope) -> HandoffProtocol | None:
    """The protocol behind this request, when it can give its socket away."""
    # Taken out, so that scope and protocol do not hold each other until the next garbage collection.
    held = scope.get("extensions", {}).pop(_EXTENSION, None)
    return held if isinstance(held, HandoffProtocol) and held.can_hand_over else None


class _ProbeHeir(Heir):
    __slots__ = ("is_lost",)

    def __init__(self) -> None:
        self.is_lost = asyncio.Event()

    def connection_lost(self, fault: Exception | None) -> None:
        super().connection_lost(fault)
        self.is_lost.set()


async def works() -> bool:
    """Hand a socket of our own over on this loop; whether every byte of it arrives, in order.

    Asked at start: what is used of uvicorn is not promised by it.
    """
    here, there = socket.socketpair()
    there.setblocking(False)
    heir = _ProbeHeir()

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        if exchange is not None and await exchange.hand_over(send, [(b"x-probe", b"1")], heir):
            os.write(heir.fd, b"one")
            heir.transport.write(b"two")
            heir.transport.close()

    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none")
    config.load()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_PROBE_S):
            await loop.connect_accepted_socket(lambda: HandoffProtocol(config, ServerState(), {}, loop), here)
            await loop.sock_sendall(there, b"GET / HTTP/1.1\r\nhost: probe\r\n\r\n")
            answer = b""
            while data := await loop.sock_recv(there, 4096):
                answer += data
            await heir.is_lost.wait()
    except (TimeoutError, OSError, AttributeError, TypeError):
        return False
    finally:
        there.close()
    return answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\nonetwo")
