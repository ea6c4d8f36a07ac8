"""A TCP proxy that cuts every connection after a while, in the middle of whatever passes just then."""

import asyncio
import random
import socket
import struct
from typing import Self

_LIFE_S = (0.1, 2.0)
_LAST_BYTES = 3_000
"""At most so much passes of what comes when a connection's time is up: a part of an event, or of several."""
_SILENCE_S = 0.1
_RESET = struct.pack("ii", 1, 0)


class _Half(asyncio.Protocol):
    """One side of a passing connection; what it receives goes out on the other."""

    transport: asyncio.Transport
    other: "_Half"

    def __init__(self, link: "_Link") -> None:
        self._link = link

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._link.carry(data, self.other)

    def connection_lost(self, _: Exception | None) -> None:
        self._link.cut()

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()


class _Inner(_Half):
    """The side towards the client: what it says before the server has answered the call waits."""

    def __init__(self, link: "_Link") -> None:
        super().__init__(link)
        self.early: bytes | None = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._link.dial(self)

    def data_received(self, data: bytes) -> None:
        if self.early is None:
            super().data_received(data)
        else:
            self.early += data


class _Link:
    """Both halves and their end."""

    def __init__(self, proxy: "CuttingProxy") -> None:
        self._proxy = proxy
        self._halves: list[_Half] = []
        self._last_bytes: int | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def dial(self, inner: _Inner) -> None:
        self._halves.append(inner)
        self._proxy.links.add(self)
        task = asyncio.create_task(self._connect(inner))
        self._proxy.calls.add(task)
        task.add_done_callback(self._proxy.calls.discard)

    async def _connect(self, inner: _Inner) -> None:
        loop = asyncio.get_running_loop()
        outer = _Half(self)
        outer.other, inner.other = inner, outer
        try:
            await loop.create_connection(lambda: outer, "127.0.0.1", self._proxy.target)
        except OSError:
            self.cut()
            return
        if inner.transport.is_closing():
            outer.transport.abort()
            return
        self._halves.append(outer)
        early, inner.early = inner.early, None
        outer.transport.write(early or b"")
        if self._proxy.is_cutting:
            self._timers.append(loop.call_later(self._proxy.random.uniform(*_LIFE_S), self._end_soon))

    def carry(self, data: bytes, to: _Half) -> None:
        """Pass `data` on, or the last part of it."""
        if self._last_bytes is None:
            to.transport.write(data)
        else:
            to.transport.write(data[: self._last_bytes])
            self.cut(is_ours=True)

    def _end_soon(self) -> None:
        self._last_bytes = self._proxy.random.randrange(_LAST_BYTES)
        self._timers.append(asyncio.get_running_loop().call_later(_SILENCE_S, self.cut, True))

    def cut(self, is_ours: bool = False) -> None:
        """End both halves, half of the times with a reset."""
        if self not in self._proxy.links:
            return
        self._proxy.links.discard(self)
        self._proxy.cuts += is_ours
        for timer in self._timers:
            timer.cancel()
        is_rude = self._proxy.random.random() < 0.5
        for half in self._halves:
            if is_ours and is_rude and not half.transport.is_closing():
                half.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            half.transport.abort()


class CuttingProxy:
    """Listens on `port` while it is entered; `cuts` counts what it did."""

    def __init__(self, target: int, seeded: random.Random) -> None:
        self.target = target
        self.random = seeded
        self.cuts = 0
        self.is_cutting = True
        self.links: set[_Link] = set()
        self.calls: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Inner(_Link(self)), "127.0.0.1", 0, backlog=4096)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in list(self.links):
            link.cut()
        await asyncio.gather(*self.calls)
        await self._server.wait_closed()
