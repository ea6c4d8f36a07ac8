"""The client's one door to HTTP: credentials, error bodies, typed answers."""

import ipaddress
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from imts.client.errors import ClientError, ImtsApiError, unreachable

R = TypeVar("R", bound=BaseModel)
Query = Mapping[str, str | int | None]
_BYTES = "application/octet-stream"
_UPLOAD_S = 600.0


def _is_local(url: httpx.URL) -> bool:
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def open_http(url: str, key: str, timeout: httpx.Timeout) -> httpx.Client:
    """An HTTP client with the key on every request; proxies are never asked for this machine's own addresses."""
    address = httpx.URL(url)
    if address.scheme not in {"http", "https"} or not address.host:
        raise ClientError(f"{url!r} is not the address of a server; it looks like http://127.0.0.1:8080")
    if not (key.isascii() and key.isprintable()):
        raise ClientError("the API key has characters that no header carries; is IMTS_API_KEY a key?")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=address, headers=headers, timeout=timeout, trust_env=not _is_local(address))


def _given(query: Query | None) -> dict[str, str | int]:
    return {name: value for name, value in (query or {}).items() if value is not None}


class Transport:
    """Calls of one server, in the caller's thread."""

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        self._http = open_http(self.url, key, httpx.Timeout(timeout_s, connect=5.0))

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except httpx.HTTPError as fault:
            raise unreachable(self.url, fault) from fault
        if not response.is_success:
            raise ImtsApiError.of(response)
        return response

    def _read(self, response: httpx.Response, reply: type[R]) -> R:
        try:
            # Fields we do not know are the server being newer, not an error.
            return reply.model_validate_json(response.content, extra="ignore")
        except ValidationError as fault:
            raise ClientError(f"{self.url} answered in a shape this client does not know: {reply.__name__}") from fault

    def get(self, path: str, reply: type[R], query: Query | None = None) -> R:
        """Read one thing."""
        return self._read(self._send("GET", path, params=_given(query)), reply)

    def post(
        self,
        path: str,
        reply: type[R],
        body: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        within_s: float | None = None,
    ) -> R:
        """Ask for something to happen; `within_s` where the answer may take longer than most."""
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = TypeAdapter(dict[str, object]).dump_json(dict(body))
        patience = {} if within_s is None else {"timeout": httpx.Timeout(within_s, connect=5.0)}
        return self._read(self._send("POST", path, content=content, headers=headers, **patience), reply)

    def delete(self, path: str) -> None:
        """Remove one thing."""
        self._send("DELETE", path)

    def upload(self, path: str, reply: type[R], part: str, files: Sequence[Path], fields: Mapping[str, str]) -> R:
        """Send files, each as a form part of that name, with form fields; they are streamed, never held in memory."""
        with ExitStack() as stack:
            opened = [(part, (file.name, stack.enter_context(file.open("rb")), _BYTES)) for file in files]
            return self._read(self._send("POST", path, data=dict(fields), files=opened, timeout=_UPLOAD_S), reply)

    @contextmanager
    def _streamed(self, path: str, query: Query | None) -> Iterator[httpx.Response]:
        with self._http.stream("GET", path, params=_given(query)) as response:
            if not response.is_success:
                response.read()
                raise ImtsApiError.of(response)
            yield response

    def download(self, path: str, target: Path, query: Query | None = None) -> Path:
        """Write a body to `target`, which appears only when it is whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        try:
            with self._streamed(path, query) as response, temporary.open("wb") as stream:
                for chunk in response.iter_bytes():
                    stream.write(chunk)
            os.replace(temporary, target)
        except httpx.HTTPError as fault:
            raise unreachable(self.url, fault) from fault
        finally:
            temporary.unlink(missing_ok=True)
        return target
