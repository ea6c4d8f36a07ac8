"""The door to uvicorn's HTTP protocol: an answered request gives its socket away, and costs no task from then on."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

_EXTENSION = "imts.handoff"
_PROBE_S = 2.0
_CHANGED = (AttributeError, TypeError, OSError)
"""How a server shows that it is not the one this was written for."""


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
    """Uvicorn's protocol, which shows itself to the app: a response can take its socket, or cut it."""

    on_shutdown: Callable[[], None] | None = None
    """Told when the server stops, so that an endless answer can come to its end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As before, but a slow reader holds no more than the rest of one write."""
        super().connection_made(transport)
        # With any room to queue, the transport could also hold bytes back that a write past it would overtake.
        transport.set_write_buffer_limits(high=0)

    def on_message_begin(self) -> None:
        """A request: its scope names this protocol."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: self}  # type: ignore[dict-item]

    def shutdown(self) -> None:
        """Uvicorn wants to stop."""
        super().shutdown()
        if self.on_shutdown is not None:
            self.on_shutdown()

    def abort(self) -> None:
        """Cut the connection now; what the client has not taken is forgotten, not waited for."""
        self.cycle.disconnected = True
        self.transport.abort()

    @property
    def can_hand_over(self) -> bool:
        """Whether this exchange may: plain text, nothing sent yet, no further request waiting behind it."""
        return self.scheme == "http" and not self.pipeline and not self.cycle.response_started

    async def hand_over(self, send: Send, headers: Sequence[tuple[bytes, bytes]], heir: Heir) -> bool:
        """Answer 200 with `headers` and a body that lasts as long as the connection, which is `heir`'s from here on.

        False when the client has gone. The head goes through `send`, so that every middleware sees an answer.
        """
        cycle, transport = self.cycle, self.transport
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


class SocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol of WebSockets, which shows itself to the app as well; it inherits the transport's limit."""

    def handle_connect(self, event: Request) -> None:
        """A handshake: its scope names this protocol before the app's task begins."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][_EXTENSION] = self  # type: ignore[assignment]

    def abort(self) -> None:
        """Cut the connection now."""
        self.transport.abort()


def socket_of(scope: Scope) -> SocketProtocol | None:
    """The protocol behind this WebSocket; None on another server. Ask once a socket."""
    held = scope.get("extensions", {}).pop(_EXTENSION, None)
    return held if isinstance(held, SocketProtocol) else None


def exchange_of(scope: Scope) -> HandoffProtocol | None:
    """The protocol behind this request; None on another server. Ask once a request."""
    # Taken out, so that scope and protocol do not hold each other until the next garbage collection.
    held = scope.get("extensions", {}).pop(_EXTENSION, None)
    return held if isinstance(held, HandoffProtocol) else None


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
    heir, head = _ProbeHeir(), [(b"x-probe", b"1")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        with suppress(*_CHANGED):
            if exchange is not None and exchange.can_hand_over and await exchange.hand_over(send, head, heir):
                os.write(heir.fd, b"one")
                heir.transport.write(b"two")
                heir.transport.close()
                return
        await Response(status_code=500, headers={"connection": "close"})(scope, receive, send)

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
            if is_whole := answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\nonetwo"):
                await heir.is_lost.wait()
    except (TimeoutError, *_CHANGED):
        return False
    finally:
        there.close()
    return is_whole
