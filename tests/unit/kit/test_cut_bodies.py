"""A caller that hangs up in the middle of its body is no fault of ours."""

import asyncio
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Message

from shared.kit.application import api_router
from shared.kit.error_handlers import install_error_handlers
from shared.kit.logs import logger


class _Note(BaseModel):
    text: str


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged meanwhile."""
    found: list[str] = []
    sink = logger.add(found.append, format="{message}")
    yield found
    logger.remove(sink)


def _send_half() -> list[Message]:
    app = FastAPI()
    install_error_handlers(app)
    routes = api_router("/notes", "notes")

    @routes.post("")
    async def note(_: _Note) -> None:
        raise AssertionError("half a body was taken for a whole one")

    app.include_router(routes)
    received: list[Message] = [
        {"type": "http.request", "body": b'{"text": "ha', "more_body": True}, {"type": "http.disconnect"}
    ]  # fmt: skip
    sent: list[Message] = []
    headers = [(b"content-type", b"application/json"), (b"content-length", b"40")]
    scope = {
        "type": "http", "method": "POST", "path": "/notes", "raw_path": b"/notes", "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("x", 80),
    }  # fmt: skip

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def test_a_body_that_is_cut_off_is_the_callers_and_not_in_the_log(lines: list[str]) -> None:
    sent = _send_half()
    assert sent[0]["status"] == 400
    assert b"cut short" in sent[1]["body"]
    assert lines == []
