"""What we broke ourselves can be found again, by whoever reads the answer, the log or the metrics."""

import asyncio

import httpx
from fastapi import FastAPI

from shared.kit import context
from shared.kit.error_handlers import install_error_handlers
from shared.kit.logs import logger
from shared.kit.metrics import RequestMetrics, metrics_page


def test_the_request_id_finds_the_fault_in_the_log_and_the_metrics_count_it() -> None:
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(RequestMetrics, service="broken")

    @app.get("/breaks")
    async def break_down() -> None:
        raise RuntimeError("a fault of ours")

    lines: list[str] = []
    sink = logger.add(lines.append, format="{extra} {message}")

    async def ask() -> httpx.Response:
        context.request_id.set("req-3am")
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/breaks")

    try:
        answer = asyncio.run(ask())
    finally:
        logger.remove(sink)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"] == "req-3am"
    assert any("req-3am" in line and "unhandled fault" in line for line in lines)
    assert (
        b'mesh_http_requests_total{method="GET",route="/breaks",service="broken",status="500"} 1.0'
        in metrics_page().body
    )
