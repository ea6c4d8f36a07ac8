"""A FastAPI app on a real uvicorn: streams need one, because httpx's ASGITransport buffers."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import uvicorn
from fastapi import FastAPI

from tests.waiting import eventually


@contextmanager
def live_server(
    app: FastAPI,
    port: int = 0,
    http: type[asyncio.Protocol] | Literal["auto"] = "auto",
    loop: Literal["auto", "asyncio", "uvloop"] = "auto",
    ws: type[asyncio.Protocol] | Literal["auto"] = "auto",
) -> Iterator[str]:
    """Serve `app` from a thread on a free port, and answer its URL; the lifespan has begun by then.

    Close your streams before leaving: whatever is still open then is cut after a second.
    """
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
        http=http,
        ws=ws,
        loop=loop,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="live-server", daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive(), within_s=30)
        assert server.started, "the app did not start; its log says why"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        assert not thread.is_alive(), "the server did not stop"
