"""An Ollama server on loopback: keeps blobs under their checked hash, makes models of GGUF files that it can read."""

import hashlib
import http.server
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf

_QUANTIZATIONS = {one.value: one.name.replace("MOSTLY_", "").replace("ALL_", "") for one in gguf.LlamaFileType}


class FakeOllama:
    """What it was sent and made; `refuses` and `hangs_up` make it misbehave."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.uploads = 0
        self.refuses = ""
        """Said in the middle of making a model."""
        self.hangs_up = False
        self.damages = False
        """Bytes change on their way."""
        self.redirects_to = ""
        self.server = _Server(self)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, fake: FakeOllama) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        if self.server.fake.redirects_to:
            self.send_response(307)
            self.send_header("location", self.server.fake.redirects_to)
            self.end_headers()
            return
        self.send_response(200 if self.path.rpartition("/")[2] in self.server.fake.blobs else 404)
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith("/api/blobs/"):
            self._take(self.path.rpartition("/")[2], body)
        elif self.path == "/api/create":
            self._create(json.loads(body))
        else:
            self._show(json.loads(body)["model"])

    def _answer(self, status: int, *lines: dict[str, Any]) -> None:
        content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _take(self, digest: str, body: bytes) -> None:
        self.server.fake.uploads += 1
        found = f"sha256:{hashlib.sha256(body[1:] if self.server.fake.damages else body).hexdigest()}"
        if found != digest:
            self._answer(400, {"error": f'digest mismatch, expected "{digest}", got "{found}"'})
            return
        self.server.fake.blobs[digest] = body
        self._answer(201)

    def _create(self, asked: dict[str, Any]) -> None:
        missing = [digest for digest in asked["files"].values() if digest not in self.server.fake.blobs]
        if missing:
            self._answer(400, {"error": f'blob "{missing[0]}" not found'})
            return
        said = [{"status": "parsing GGUF"}]
        if self.server.fake.refuses:
            self._answer(200, *said, {"error": self.server.fake.refuses})
            return
        if self.server.fake.hangs_up:
            self._answer(200, *said)
            return
        (digest,) = asked["files"].values()
        self.server.fake.models[asked["model"]] = asked | {"details": details_of(self.server.fake.blobs[digest])}
        self._answer(200, *said, {"status": "writing manifest"}, {"status": "success"})

    def _show(self, model: str) -> None:
        if model in self.server.fake.models:
            self._answer(200, {"details": self.server.fake.models[model]["details"]})
        else:
            self._answer(404, {"error": f"model '{model}' not found"})

    def log_message(self, *_: object) -> None:
        pass


def details_of(content: bytes) -> dict[str, Any]:
    """What Ollama tells of a GGUF file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        path.write_bytes(content)
        fields = gguf.GGUFReader(path).fields
        family = str(fields["general.architecture"].contents())
        quantization = _QUANTIZATIONS[int(fields["general.file_type"].contents())]
    return {"format": "gguf", "family": family, "quantization_level": quantization}


@contextmanager
def serving_ollama() -> Iterator[FakeOllama]:
    """A server that answers until the end of the block."""
    fake = FakeOllama()
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()
    fake.server.server_close()
