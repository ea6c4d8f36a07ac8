"""Request bodies: a byte limit that needs no trust, JSON and forms read strictly."""

import errno
import json
import zlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic_core import from_json, to_json
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.kit.errors import MalformedRequest, TooLarge, Unavailable, UnsupportedMediaType

MAX_FORM_FILES = 256
MAX_FORM_FIELDS = 32


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedRequest("the JSON body has the same key twice; send each key once", code="duplicate_key")
    return found


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8, no duplicate keys, bounded numbers and nesting; raises MalformedRequest."""
    try:
        value = from_json(body)
        if _keeps_every_key(value, body):
            return value
    except ValueError:
        pass
    return _parse_carefully(body)


def _keeps_every_key(value: Any, body: bytes) -> bool:
    """Whether no key of `body` was given twice: a dropped one is missed by its colon, which nothing else can make up.

    False may also mean that colons were escaped.
    """
    return b"\\u003" not in body and to_json(value).count(b":") == body.count(b":")


def _parse_carefully(body: bytes) -> Any:
    """The same in three times the time, and able to say what is wrong."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique_keys)
    except UnicodeDecodeError:
        raise MalformedRequest("the body is not UTF-8; send JSON encoded as UTF-8") from None
    except RecursionError:
        raise MalformedRequest("the JSON body is nested too deeply") from None
    except ValueError as fault:
        where = f" at line {fault.lineno} column {fault.colno}" if isinstance(fault, json.JSONDecodeError) else ""
        raise MalformedRequest(f"the body is not valid JSON{where}") from None


def inflate(body: bytes, limit: int) -> bytes:
    """What a gzip body holds, `limit` bytes at most; raises MalformedRequest, TooLarge."""
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = stream.decompress(body, limit + 1)
    except zlib.error:
        raise MalformedRequest("the body is not gzip, as its Content-Encoding says") from None
    if len(found) > limit:
        raise TooLarge(f"the body inflates to more than the {limit} bytes this route takes")
    if not stream.eof:
        raise MalformedRequest("the gzip body is cut short")
    if stream.unused_data:
        raise MalformedRequest("something follows the gzip body; send one stream of it")
    return found


class _FormParser(MultiPartParser):
    """Knows whether the body came to its end, and closes its files when it did not."""

    is_whole = False

    def on_end(self) -> None:
        self.is_whole = True

    def close_files(self) -> None:
        for file in self._files_to_close_on_error:
            file.close()


async def read_form(request: Request) -> FormData:
    """A multipart body, its files spooled to unnamed temporary files: a request cut short leaves nothing behind."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType("send `Content-Type: multipart/form-data`", param="Content-Type")
    parser = _FormParser(request.headers, request.stream(), max_files=MAX_FORM_FILES, max_fields=MAX_FORM_FIELDS)
    form = None
    try:
        parsed = await parser.parse()
        if not parser.is_whole:
            raise MultiPartException("the last boundary is missing")
        form = parsed
    except (MultiPartException, FormParserError, ClientDisconnect):
        raise MalformedRequest("the multipart body is broken or cut short; let an HTTP client build it") from None
    except OSError as fault:
        if fault.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise Unavailable("the server has no room for this upload; ask its operator", code="storage_full") from None
    finally:
        if form is None:
            parser.close_files()
    return form


async def _read_whole(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        raise MalformedRequest("the body is cut short") from None


class StrictRoute(APIRoute):
    """A route whose JSON body goes through `parse_json` before FastAPI sees it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        field = self.body_field
        takes_form = field is not None and isinstance(field.field_info, Form)
        takes_json = field is not None and not takes_form

        async def strict(request: Request) -> Response:
            if takes_form:
                request._form = await read_form(request)
            elif takes_json and (body := await _read_whole(request)):
                media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if media_type != "application/json":
                    raise UnsupportedMediaType("send `Content-Type: application/json`", param="Content-Type")
                request._json = parse_json(body)
            return await handle(request)

        return strict


class BodyLimit:
    """ASGI middleware: stops reading a body at its limit, whatever Content-Length claims."""

    def __init__(self, app: ASGIApp, limit: int, limits_by_path: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._by_path = limits_by_path

    def _limit_for(self, path: str) -> int:
        longest = max((prefix for prefix in self._by_path if path.startswith(prefix)), key=len, default=None)
        return self._limit if longest is None else self._by_path[longest]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_for(scope["path"])
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        seen = 0

        def refuse() -> None:
            raise TooLarge(f"the body is larger than the {limit} bytes this route takes")

        if declared.isdigit() and int(declared[:20]) > limit:
            refuse()

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                refuse()
            return message

        await self._app(scope, counted, send)
