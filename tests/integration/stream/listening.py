"""Listeners on raw sockets, which read when a test tells them to, and a look at what they cost the server."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import urlsplit

from services.stream.handoff import HandoffProtocol
from tests.integration.stream.client import service_token


@contextmanager
def raw_socket(url: str) -> Iterator[socket.socket]:
    """A connection with a small receive buffer that takes nothing by itself."""
    address = urlsplit(url)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(20)
        raw.connect((address.hostname, address.port))
        yield raw


@contextmanager
def raw_listener(
    url: str, job: str, after: int = 0, token: str = "", connection: str = "close"
) -> Iterator[socket.socket]:
    """One that has asked for a job's events."""
    with raw_socket(url) as raw:
        head = f"GET /api/stream/metrics?job_id={job}&after={after} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n"
        raw.sendall(f"{head}Authorization: Bearer {token or service_token()}\r\n\r\n".encode())
        yield raw


def rest_of(raw: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = bytearray()
    while data := raw.recv(65_536):
        found += data
    return bytes(found)


def body_of(wire: bytes) -> bytes:
    """The answer's body, out of its chunks if it came in chunks."""
    head, _, rest = wire.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head:
        return rest
    body = bytearray()
    at = 0
    while at < len(rest):
        ends = rest.index(b"\r\n", at)
        length = int(rest[at:ends], 16)
        body += rest[ends + 2 : ends + 2 + length]
        at = ends + length + 4
    return bytes(body)


def ids_of(body: bytes) -> list[int]:
    """The numbers of the events."""
    return [int(line[4:]) for line in body.split(b"\n") if line.startswith(b"id: ")]


class WatchedProtocol(HandoffProtocol):
    """Remembers every connection's transport, whoever the connection belongs to later."""

    transports: ClassVar[list[asyncio.Transport]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transports.append(transport)

    @classmethod
    def most_held(cls) -> int:
        """The most bytes that wait in this process for one connection's reader."""
        return max(transport.get_write_buffer_size() for transport in cls.transports)
