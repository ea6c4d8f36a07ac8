"""EventSources by the hundred: each comes back with its Last-Event-ID and keeps account of what it hears."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from zlib import crc32

from tests.integration.stream.client import service_token


class Listener:
    """One EventSource: what it has heard is a number and a checksum, what was wrong is a sentence."""

    def __init__(self, topic: str, pause_s: Callable[[], float]) -> None:
        self.topic = topic
        self.last_id = ""
        self.heard = 0
        self.checksum = 0
        self.faults: list[str] = []
        self.connections = 0
        self.has_ended = False
        self._pause_s = pause_s

    async def run(self, port_of: Callable[[], int]) -> None:
        """Listen, and come back whenever the connection ends, until the stream does."""
        loop = asyncio.get_running_loop()
        while not self.has_ended:
            wire = _Wire(self)
            try:
                transport, _ = await loop.create_connection(lambda: wire, "127.0.0.1", port_of())  # noqa: B023
            except OSError:
                await asyncio.sleep(self._pause_s())
                continue
            try:
                await wire.lost
            finally:
                transport.abort()
            if not self.has_ended:
                await asyncio.sleep(self._pause_s())

    @property
    def request(self) -> bytes:
        """What an EventSource sends."""
        head = f"GET /v1/topics/{self.topic}/stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        resume = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        return f"{head}{resume}Authorization: Bearer {service_token()}\r\n\r\n".encode()

    def hear(self, block: bytes) -> None:
        """One block that a blank line closed."""
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and line[:1] != b":")
        event = fields.get(b"event", b"").decode()
        if event == "stream_end":
            self.has_ended = True
        elif event == "reset":
            self.faults.append(f"reset at {self.last_id}")
        elif b"id" in fields:
            self._take(int(fields[b"id"]), fields[b"data"])

    def _take(self, seq: int, body: bytes) -> None:
        if seq != self.heard + 1:
            self.faults.append(f"{seq} after {self.heard}")
        self.heard = seq
        self.last_id = str(seq)
        self.checksum = crc32(body, self.checksum)


class _Wire(asyncio.Protocol):
    """One connection of a listener: the head, the chunks if there are any, the blocks."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._rest = b""
        self._is_chunked: bool | None = None
        self._chunks = b""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.write(self._listener.request)

    def connection_lost(self, _: Exception | None) -> None:
        # What is left has no blank line after it: it counts for nothing.
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._is_chunked is None:
            head, found, data = (self._rest + data).partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            self._rest = b""
            self._begin(head)
        if self._is_chunked:
            data = self._joined(data)
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            self._listener.hear(block)

    def _begin(self, head: bytes) -> None:
        status = head.split(b" ", 2)[1].decode()
        self._is_chunked = b"transfer-encoding: chunked" in head.lower()
        if status != "200":
            if status not in {"429", "503"}:
                self._listener.faults.append(f"status {status}")
            self._transport.abort()
        else:
            self._listener.connections += 1

    def _joined(self, data: bytes) -> bytes:
        self._chunks += data
        whole = b""
        while b"\r\n" in self._chunks:
            size, _, rest = self._chunks.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                break
            whole += rest[:length]
            self._chunks = rest[length + 2 :]
        return whole


class Audience:
    """Listeners of one topic, running while it is entered."""

    def __init__(
        self, topic: str, count: int, port_of: Callable[[], int], seeded: random.Random,
        pause_s: tuple[float, float] = (0.05, 0.3),
    ) -> None:  # fmt: skip
        self.members = [Listener(topic, lambda: seeded.uniform(*pause_s)) for _ in range(count)]
        self._port_of = port_of
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Audience":
        self._tasks = [asyncio.create_task(member.run(self._port_of)) for member in self.members]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def have_heard(self, seq: int, within_s: float) -> None:
        """Wait until everybody has heard the event numbered `seq`."""
        await self._until(lambda member: member.heard >= seq, within_s)

    async def have_ended(self, within_s: float) -> None:
        """Wait until everybody was told that the stream has ended."""
        await self._until(lambda member: member.has_ended, within_s)

    async def _until(self, is_so: Callable[[Listener], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        waiting = self.members
        while waiting := [member for member in waiting if not is_so(member)]:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{len(waiting)} of {len(self.members)} listeners wait; the first stands at {waiting[0].heard}, "
                    f"faults {waiting[0].faults[:3]}"
                )
            for task in self._tasks:
                if task.done() and task.exception():
                    await task
            await asyncio.sleep(0.01)

    def faults(self) -> list[str]:
        """What any of them found wrong."""
        return [fault for member in self.members for fault in member.faults]


def checksum_of(log: Sequence[dict[str, object]]) -> int:
    """The checksum of a listener that has heard all of `log`."""
    total = 0
    for event in log:
        total = crc32(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(), total)
    return total
