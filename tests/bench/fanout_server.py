"""The servers of `tests.bench.fanout`: ours, by either way, and a queue per client; `python -m … WAY PORT FOLDER`.

The events come in by a door of the bench's own, on the next port, and go into the fan-out as the append path puts them
there after its commit: what SQL costs is measured elsewhere, and the peers keep nothing on disk either.
"""

import asyncio
import os
import resource
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal

import httptools  # type: ignore[import-untyped]
import uvicorn
import uvloop
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol
from services.stream.log.entries import Record
from services.stream.settings import StreamSettings
from shared.kit.serve import bind
from tests.conftest import SERVICE_SECRET

Publish = Callable[[str, list[str]], None]
_TAKEN = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_BLAST = b'id: 1\nevent: metrics_update\ndata: {"mark":"~","at":1.0,"pad":"' + b"x" * 330 + b'"}\n\n'


class Door(asyncio.Protocol):
    """Takes events as POSTs, as nchan does; what arrives at once is published at once, as one commit's events are."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""
        self._arrived: dict[str, list[str]] = defaultdict(list)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def on_message_begin(self) -> None:
        """The next event."""
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        """A piece of `/pub?topic=…`."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """A piece of the event."""
        self._body += body

    def on_message_complete(self) -> None:
        """A whole event."""
        self._arrived[self._url.rpartition(b"=")[2].decode()].append(self._body.decode())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        arrived, self._arrived = self._arrived, defaultdict(list)
        for topic, events in arrived.items():
            self._publish(topic, events)
            self._transport.write(_TAKEN * len(events))


def ours(folder: Path, is_handed_over: bool) -> tuple[ASGIApp, Publish]:
    """Our service; published is what the append path has committed."""
    told = {"service_secret": SERVICE_SECRET, "data_dir": folder, "redis_url": "", "log_level": "WARNING",
            "poll_s": 60.0, "ring_events": 2_048, "handoff": is_handed_over}  # fmt: skip
    app = create_app(StreamSettings.model_validate(told))
    seqs: dict[str, int] = defaultdict(int)

    def publish(job: str, events: list[str]) -> None:
        topic = f"job:{job}"
        now = datetime.now(UTC)
        records = [
            Record(topic, seq, "metrics_update", 1, now, event) for seq, event in enumerate(events, seqs[topic] + 1)
        ]
        seqs[topic] += len(events)
        app.state.stream.fanout.committed({topic: records})

    return app, publish


def queue_per_client() -> tuple[ASGIApp, Publish]:
    """What most tutorials show: an asyncio.Queue for each EventSourceResponse."""
    queues: dict[str, set[asyncio.Queue[str]]] = defaultdict(set)

    async def follow(request: Request) -> EventSourceResponse:
        topic = request.query_params["job_id"]
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def events() -> AsyncIterator[dict[str, str]]:
            queues[topic].add(queue)
            try:
                while True:
                    yield {"event": "metrics_update", "data": await queue.get()}
            finally:
                queues[topic].discard(queue)

        return EventSourceResponse(events())

    def publish(topic: str, events: list[str]) -> None:
        for event in events:
            for queue in queues[topic]:
                queue.put_nowait(event)

    return Starlette(routes=[Route("/api/stream/metrics", follow)]), publish


class Blast(asyncio.Protocol):
    """Answers everybody and then writes as fast as sockets take it: shows what the reader can read."""

    fds: ClassVar[list[int]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.fds.append(self._transport.get_extra_info("socket").fileno())

    @classmethod
    async def run(cls, events_a_write: int) -> None:
        """For ever."""
        while True:
            for fd in cls.fds:
                with suppress(BlockingIOError):
                    os.write(fd, _BLAST * events_a_write)
            await asyncio.sleep(0)


async def blast(port: int) -> None:
    """Nothing but writes; whoever comes to the door is not heard."""
    loop = asyncio.get_running_loop()
    async with (
        await loop.create_server(Blast, "127.0.0.1", port, backlog=8192),
        await loop.create_server(asyncio.Protocol, "127.0.0.1", port + 1),
    ):
        await Blast.run(8)


async def serve(way: str, port: int, folder: Path) -> None:
    """Listeners on `port`, the door on the one after."""
    app, publish = queue_per_client() if way == "queue" else ours(folder, way == "handoff")
    http: type[asyncio.Protocol] | Literal["auto"] = "auto" if way == "queue" else HandoffProtocol
    config = uvicorn.Config(
        app, port=port, http=http, log_level="warning", access_log=False, timeout_graceful_shutdown=1, backlog=8192
    )
    async with await asyncio.get_running_loop().create_server(lambda: Door(publish), "127.0.0.1", port + 1):
        await uvicorn.Server(config).serve(bind(config))


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        port = int(sys.argv[2])
        runner.run(blast(port) if sys.argv[1] == "blast" else serve(sys.argv[1], port, Path(sys.argv[3])))
