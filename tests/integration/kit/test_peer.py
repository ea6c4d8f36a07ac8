"""How a service calls a peer that is slow, broken, gone, or back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from shared.kit.auth import ServiceTokens
from shared.kit.errors import Conflict, ImtsError, PeerUnavailable
from shared.kit.metrics import PEER_FAILURES, metrics_page
from shared.kit.peer import PeerClient
from tests.conftest import SERVICE_SECRET


class Word(BaseModel):
    """What the peer answers."""

    word: str


class Peer:
    """A server that answers as the test says, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.mood = "answers"
        self.port = 0
        self._hung = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.asked.append(line.decode().partition(" ")[0])
            while await reader.readline() != b"\r\n":
                pass
            if self.mood == "hangs up":
                break
            if self.mood == "hangs":
                await self._hung.wait()
                break
            status, body = {
                "answers": ("200 OK", b'{"word":"yes"}'),
                "refuses": ("409 Conflict", b'{"error":{"type":"conflict_error","code":"busy","message":"not now"}}'),
                "fails": ("500 Internal Server Error", b"oh"),
            }[self.mood]
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    def end(self) -> None:
        self._hung.set()


@asynccontextmanager
async def talking(timeout_s: float = 5.0) -> AsyncIterator[tuple[Peer, PeerClient]]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    client = PeerClient("other", f"http://127.0.0.1:{peer.port}", ServiceTokens("me", SERVICE_SECRET), timeout_s)
    try:
        yield peer, client
    finally:
        await client.close()
        peer.end()
        server.close()
        await server.wait_closed()


async def ask(client: PeerClient, method: str = "GET") -> str:
    return (await client.call(method, "/word", Word)).word


def told(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 30))


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("PUT", 2), ("POST", 1), ("DELETE", 1)])
def test_only_idempotent_calls_are_sent_again_and_only_once(method: str, times: int) -> None:
    async def story() -> None:
        async with talking() as (peer, client):
            peer.mood = "hangs up"
            with pytest.raises(PeerUnavailable):
                await ask(client, method)
            assert peer.asked == [method] * times

    told(story)


def test_a_peer_that_is_too_slow_is_not_asked_again() -> None:
    async def story() -> None:
        async with talking(timeout_s=0.2) as (peer, client):
            peer.mood = "hangs"
            with pytest.raises(PeerUnavailable, match="ReadTimeout"):
                await ask(client)
            assert peer.asked == ["GET"]

    told(story)


@pytest.mark.parametrize(("mood", "fault"), [("refuses", Conflict), ("fails", ImtsError)])
def test_an_answer_is_an_answer_whatever_it_says(mood: str, fault: type[Exception]) -> None:
    async def story() -> None:
        async with talking() as (peer, client):
            peer.mood = mood
            for _ in range(8):
                with pytest.raises(fault):
                    await ask(client)
            assert len(peer.asked) == 8
            assert client.standing == {"name": "other", "circuit": "closed", "silent_for_s": None}

    told(story)


def test_a_silent_peer_is_left_alone_until_it_is_back() -> None:
    async def story() -> None:
        async with talking() as (peer, client):
            peer.mood = "hangs up"
            for _ in range(20):
                with pytest.raises(PeerUnavailable):
                    await ask(client, "POST")
            assert len(peer.asked) == 5
            assert client.standing["circuit"] == "open"
            assert 'mesh_peer_circuit_open{peer="other",service="me"} 1.0' in bytes(metrics_page().body).decode()
            peer.mood = "answers"
            assert await eventually_answers(client) == "yes"
            assert [await ask(client) for _ in range(3)] == ["yes"] * 3
            assert client.standing["circuit"] == "closed"
            assert 'mesh_peer_circuit_open{peer="other",service="me"} 0.0' in bytes(metrics_page().body).decode()

    told(story)


async def eventually_answers(client: PeerClient) -> str:
    while True:
        try:
            return await ask(client)
        except PeerUnavailable:
            await asyncio.sleep(0.05)


def test_failures_are_counted_by_what_they_were() -> None:
    def count(reason: str) -> float:
        value: Any = PEER_FAILURES.labels("me", "other", reason)._value.get()
        return float(value)

    async def story() -> None:
        async with talking() as (peer, client):
            before = {reason: count(reason) for reason in ("refused", "fault", "no_connection", "circuit_open")}
            for mood in ("refuses", "fails", *["hangs up"] * 6):
                peer.mood = mood
                with pytest.raises((Conflict, ImtsError, PeerUnavailable)):
                    await ask(client, "POST")
            after = {reason: count(reason) - start for reason, start in before.items()}
            assert after == {"refused": 1, "fault": 1, "no_connection": 5, "circuit_open": 1}

    told(story)
