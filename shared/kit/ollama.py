"""The door to an Ollama server that the operator named: blobs by their hash, models made of them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx

_CHUNK = 1 << 20
_CONNECT_S = 10.0
_LONGEST_TOLD = 500


class OllamaAway(Exception):
    """The server does not answer, or not as Ollama does; the text says how. Trying again may help."""


class OllamaRefused(Exception):
    """The server's own word for why it will not."""


class Ollama:
    """Calls one server; follows no redirect and knows no proxy, so that only the address named is reached. Blocking."""

    def __init__(self, url: str, timeout_s: float = 600.0) -> None:
        self._http = httpx.Client(
            base_url=url, follow_redirects=False, trust_env=False, timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def has_blob(self, sha256: str) -> bool:
        """Whether the server has these bytes already."""
        status = self._call("HEAD", f"/api/blobs/sha256:{sha256}").status_code
        if status not in {200, 404}:
            raise OllamaAway(f"asked for a blob it answered {status}")
        return status == 200

    def send_blob(self, path: Path, sha256: str) -> None:
        """Send a file; the server checks its hash."""
        headers = {"content-length": str(path.stat().st_size)}
        self._must(self._call("POST", f"/api/blobs/sha256:{sha256}", content=_chunks(path), headers=headers), 201)

    def create(self, body: Mapping[str, Any]) -> Iterator[str]:
        """Make a model; yields what the server says of it, last `success`."""
        said = ""
        try:
            with self._http.stream("POST", "/api/create", json=dict(body)) as response:
                if response.status_code != 200:
                    response.read()
                    self._must(response, 200)
                for line in response.iter_lines():
                    said = _status(line)
                    yield said
        except httpx.HTTPError as fault:
            raise OllamaAway(f"the connection broke while the model was made ({type(fault).__name__})") from fault
        if said != "success":
            raise OllamaAway(f"it stopped talking after {said!r}, before the model was made")

    def details(self, model: str) -> dict[str, Any]:
        """What the server says of a model that it has: family, quantization and so on."""
        response = self._call("POST", "/api/show", json={"model": model})
        self._must(response, 200)
        return dict(_json(response.content).get("details") or {})

    def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **more)
        except httpx.HTTPError as fault:
            raise OllamaAway(f"no answer ({type(fault).__name__})") from fault

    def _must(self, response: httpx.Response, status: int) -> None:
        if response.status_code == status:
            return
        told = str(_json(response.content).get("error") or "no reason given")[:_LONGEST_TOLD]
        if 400 <= response.status_code < 500:
            raise OllamaRefused(f"{told} ({response.status_code})")
        raise OllamaAway(f"{told} ({response.status_code})")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _json(content: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _status(line: str) -> str:
    told = _json(line)
    if "error" in told:
        raise OllamaRefused(str(told["error"])[:_LONGEST_TOLD])
    return str(told.get("status", ""))[:_LONGEST_TOLD]
