"""How a service becomes a process: title, logs, uvicorn."""

import asyncio
import contextlib
import socket
from typing import Literal

import uvicorn
from fastapi import FastAPI
from setproctitle import setproctitle

from shared.kit.logs import configure_logs
from shared.kit.settings import ServiceSettings

_GRACE_S = 5
"""Long streams are cut this long after SIGTERM; a resuming client loses nothing."""
_DOORS = 16
"""How many callers a turn of the loop lets in."""

Speaks = type[asyncio.Protocol] | Literal["auto"]


def bind(config: uvicorn.Config) -> list[socket.socket]:
    """The service's address, bound; exits when it is taken.

    uvloop lets one caller a turn in at each socket it is given: thousands who come again together after a restart
    would wait for as many turns, while those already here are sent events. So it is given the same socket many times.
    """
    door = config.bind_socket()
    door.set_inheritable(False)
    return [door, *(door.dup() for _ in range(_DOORS - 1))]


def serve(service: str, app: FastAPI, settings: ServiceSettings, http: Speaks = "auto", ws: Speaks = "auto") -> None:
    """Run `app` until SIGTERM; `http` and `ws` speak the protocols."""
    setproctitle(f"imts:{service}")
    configure_logs(service, settings.log_level, settings.log_format)
    config = uvicorn.Config(
        app, host=settings.host, port=settings.port, log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=_GRACE_S, ws_max_size=settings.max_body_bytes, http=http, ws=ws,
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(bind(config))
