"""How a service becomes a process: title, logs, uvicorn."""

import asyncio
from typing import Literal

import uvicorn
from fastapi import FastAPI
from setproctitle import setproctitle

from shared.kit.logs import configure_logs
from shared.kit.settings import ServiceSettings

_GRACE_S = 5
"""Long streams are cut this long after SIGTERM; a resuming client loses nothing."""


Speaks = type[asyncio.Protocol] | Literal["auto"]


def serve(service: str, app: FastAPI, settings: ServiceSettings, http: Speaks = "auto", ws: Speaks = "auto") -> None:
    """Run `app` until SIGTERM; `http` and `ws` speak the protocols."""
    setproctitle(f"imts:{service}")
    configure_logs(service, settings.log_level, settings.log_format)
    uvicorn.run(
        app, host=settings.host, port=settings.port, log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=_GRACE_S, ws_max_size=settings.max_body_bytes, http=http, ws=ws,
    )  # fmt: skip
