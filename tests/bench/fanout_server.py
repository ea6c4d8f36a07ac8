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
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

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


class Door(asyncio.Protocol):
    """Takes `topic<tab>event` lines; what arrives at once is published at once, as one commit's events are."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        by_topic: dict[str, list[str]] = defaultdict(list)
        for line in lines:
            topic, _, event = line.decode().partition("\t")
            by_topic[topic].append(event)
        for topic, events in by_topic.items():
            self._publish(topic, events)


def ours(folder: Path) -> tuple[ASGIApp, Publish]:
    """Our service; published is what the append path has committed."""
    told = {"service_secret": SERVICE_SECRET, "data_dir": folder, "redis_url": "", "log_level": "WARNING",
            "poll_s": 60.0, "ring_events": 2_048}  # fmt: skip
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


async def serve(way: str, port: int, folder: Path) -> None:
    """Listeners on `port`, the door on the one after."""
    app, publish = queue_per_client() if way == "queue" else ours(folder)
    http: type[asyncio.Protocol] | Literal["auto"] = HandoffProtocol if way == "handoff" else "auto"
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
        runner.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
