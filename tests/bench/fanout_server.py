"""The servers of `tests.bench.fanout`: ours, by either way, and a queue per client; `python -m … WAY PORT FOLDER`.

`POST /bench/publish?topic=` takes one event a line and puts them into the fan-out as the append path does after its
commit: what SQL costs is measured elsewhere, and the peers keep nothing on disk either.
"""

import asyncio
import os
import resource
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol
from services.stream.log.entries import Record
from services.stream.settings import StreamSettings
from tests.conftest import SERVICE_SECRET


async def body_of(receive: Receive) -> bytes:
    """The whole body."""
    found = b""
    while True:
        message = await receive()
        found += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return found


async def answer(send: Send) -> None:
    """204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Published:
    """Our service, and a door for the bench in front of it."""

    def __init__(self, folder: Path) -> None:
        told = {"service_secret": SERVICE_SECRET, "data_dir": folder, "redis_url": "", "log_level": "WARNING",
                "poll_s": 60.0, "ring_events": 2_048}  # fmt: skip
        self._app = create_app(StreamSettings.model_validate(told))
        self._seqs: dict[str, int] = defaultdict(int)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/bench/publish":
            await self._app(scope, receive, send)
            return
        topic = "job:" + parse_qs(scope["query_string"].decode())["topic"][0]
        now = datetime.now(UTC)
        records = []
        for line in (await body_of(receive)).splitlines():
            self._seqs[topic] += 1
            records.append(Record(topic, self._seqs[topic], "metrics_update", 1, now, line.decode()))
        self._app.state.stream.fanout.committed({topic: records})
        await answer(send)


def queue_per_client() -> ASGIApp:
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

    app = Starlette(routes=[Route("/api/stream/metrics", follow)])

    async def published(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/bench/publish":
            await app(scope, receive, send)
            return
        topic = parse_qs(scope["query_string"].decode())["topic"][0]
        for line in (await body_of(receive)).decode().splitlines():
            for queue in queues[topic]:
                queue.put_nowait(line)
        await answer(send)

    return published


def main(way: str, port: int, folder: Path) -> None:
    """Serve on core 0 until SIGTERM."""
    os.sched_setaffinity(0, {0})
    app: ASGIApp = queue_per_client() if way == "queue" else Published(folder)
    http: type[asyncio.Protocol] | Literal["auto"] = HandoffProtocol if way == "handoff" else "auto"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvicorn.run(
        app, port=port, http=http, log_level="warning", access_log=False, timeout_graceful_shutdown=1, backlog=8192
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
