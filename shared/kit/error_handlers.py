"""Every fault becomes the one error body; input is never echoed."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.contracts.problems import Problem, ProblemBody
from shared.kit.context import request_id
from shared.kit.errors import ImtsError, InvalidRequest, MalformedRequest, NotFound, ServerFault, TooLarge
from shared.kit.logs import log_context, logger

_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request; remove it or correct its spelling",
    "string_pattern_mismatch": "is not a valid name: use letters, digits, '.', '_' and '-', not a path or URL",
    "string_unicode": "must be valid Unicode without lone surrogates",
}
_ID_PATTERN = re.compile(r"\^(job|ds|mdl|swp|wh|msg)-")
_BY_STATUS: dict[int, type[ImtsError]] = {400: MalformedRequest, 404: NotFound, 413: TooLarge}


def problem_of(fault: ImtsError) -> Problem:
    """What is told of `fault`."""
    return Problem(
        type=fault.type, code=fault.code, message=fault.message, param=fault.param,
        request_id=request_id.get(), retryable=fault.retryable, details=fault.details,
    )  # fmt: skip


def problem_response(fault: ImtsError) -> Response:
    """The error body of `fault`, with its status and `Retry-After`."""
    problem = problem_of(fault)
    unused = {"error": {"details"}} if fault.details is None else None
    content = ProblemBody(error=problem).model_dump_json(exclude=unused)
    headers = {"x-content-type-options": "nosniff"}
    if fault.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(fault.retry_after_s)))
    if fault.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(content, status_code=fault.status, media_type="application/json", headers=headers)


def _field(location: Sequence[Any]) -> str:
    """Dotted path of the field; only its own part of the request, bounded and printable."""
    parts = [str(part) for part in location if part not in {"body", "query", "path", "header"}]
    return ".".join(parts).encode("ascii", "backslashreplace").decode()[:120]


def _message(error: Any) -> str:
    if error["type"] == "string_pattern_mismatch" and _ID_PATTERN.match(str(error.get("ctx", {}).get("pattern"))):
        return "is not a valid id; take it as it stands from the answer that gave it"
    return _MESSAGES.get(error["type"], str(error["msg"]).removeprefix("Value error, "))


def validation_fault(errors: Sequence[Any]) -> InvalidRequest:
    """One InvalidRequest from pydantic's errors: the first is the message, all are in `details`."""
    found = [{"param": _field(error["loc"]), "message": _message(error)} for error in errors[:20]]
    first = found[0]
    subject = first["param"] or "the request"
    return InvalidRequest(
        f"{subject}: {first['message']}", param=first["param"] or None,
        details={"errors": [dict(item) for item in found]} if len(found) > 1 else None,
    )  # fmt: skip


async def _on_validation(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError | WebSocketRequestValidationError | ValidationError)
    return problem_response(validation_fault(fault.errors()))


async def _on_imts(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, ImtsError)
    return problem_response(fault)


async def _on_http(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    kind = _BY_STATUS.get(fault.status_code)
    if kind is None:
        kind = type("HttpFault", (InvalidRequest,), {"status": fault.status_code, "code": "method_not_allowed"})
    response = problem_response(kind(_http_message(fault.status_code)))
    response.headers.update(fault.headers or {})
    return response


def _http_message(status: int) -> str:
    return {
        404: "there is nothing at this address; see /docs for the routes",
        405: "this address does not take that method; see /docs for the routes",
        400: "the request cannot be read; check its encoding and content type",
    }.get(status, "the request was refused")


async def _on_anything(_: Request, fault: Exception) -> Response:
    # Starlette calls this outside our middleware: what `Entrance` adds to logs and answers is added here.
    with log_context(request_id=request_id.get()):
        logger.opt(exception=fault).error("unhandled fault")
    response = problem_response(ServerFault("something broke on our side; the request id finds it in the logs"))
    response.headers["x-request-id"] = request_id.get()
    return response


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every fault with the one body."""
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(WebSocketRequestValidationError, _on_validation)
    app.add_exception_handler(ImtsError, _on_imts)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_anything)
