"""Asking a model of the registry, from the client's side; programs take OpenAI's own client for more."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
from httpx_sse import SSEError, connect_sse
from pydantic import ValidationError

from imts.client.errors import ClientError, ImtsApiError, unreachable
from imts.client.transport import open_http
from shared.contracts.problems import ProblemBody

_SILENCE_S = 600.0
"""The first answer of a large model waits until it is loaded."""
_END = "[DONE]"


def ask(url: str, key: str, body: dict[str, object]) -> Iterator[str]:
    """The answer to a chat request, piece by piece; ImtsApiError for a fault, also in the middle."""
    with open_http(url, key, httpx.Timeout(_SILENCE_S, connect=5.0)) as http:
        try:
            with connect_sse(http, "POST", "/v1/chat/completions", json={**body, "stream": True}) as source:
                if not source.response.is_success:
                    source.response.read()
                    raise ImtsApiError.of(source.response)
                for message in source.iter_sse():
                    if message.data == _END:
                        return
                    yield _piece_of(message.data)
        except (httpx.HTTPError, SSEError) as fault:
            cause = fault if isinstance(fault, httpx.HTTPError) else httpx.HTTPError(str(fault))
            raise unreachable(url, cause) from fault
    raise ClientError("the answer broke off before its end")


def _piece_of(data: str) -> str:
    try:
        said: Any = json.loads(data)
        if "error" in said:
            raise ImtsApiError(503, ProblemBody.model_validate(said, extra="ignore").error)
        return "".join(str(choice["delta"].get("content") or "") for choice in said["choices"])
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError) as fault:
        raise ClientError("the server sent a piece of an answer that this client does not know") from fault
