"""A fake mesh on one real socket: it answers what a test tells it to, and remembers what it was asked."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NOW = "2026-01-01T00:00:00Z"
JOB_ID = "job-" + "0" * 26


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeServer:
    """Answers by `(method, path)`: a JSON body, or a function that writes to the socket itself."""

    url: str
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


Raw = Callable[[Asked, BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, answer: Any) -> None:
    """A body, or a status with a body; bytes go out as they are, the rest as JSON."""
    status, content = answer if isinstance(answer, tuple) else (200, answer)
    blob = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("content-length", str(len(blob)))
    handler.end_headers()
    handler.wfile.write(blob)


def in_turn(*answers: Any) -> Raw:
    """One answer after another; the last one stays."""
    left = list(answers)
    return lambda _, handler: send(handler, left.pop(0) if len(left) > 1 else left[0])


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def _answer(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            asked = Asked(self.command, url.path, query, headers, body)
            server.asked.append(asked)
            answer = server.answers.get((asked.method, asked.path), (404, problem("not_found", "no such route")))
            if callable(answer):
                answer(asked, self)
            else:
                send(self, answer)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names http.server calls

    return Handler


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """A fake that is listening."""
    fake = FakeServer("")
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    http.daemon_threads = True
    fake.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def closed_url() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def problem(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The house's error body."""
    return {"error": {"type": "invalid_request_error", "code": code, "message": message, "param": param}}


def job_view(status: str = "queued", kind: str = "training", attempt: int = 1) -> dict[str, Any]:
    """A JobView as the wire carries it."""
    return {
        "jobId": JOB_ID, "kind": kind, "project": "default", "status": status, "why": f"it is {status}",
        "attempt": attempt, "progress": 0.5, "currentStep": 5, "totalSteps": 10, "spec": {}, "createdAt": NOW,
        "updatedAt": NOW,
    }  # fmt: skip


def event(seq: int, event_type: str = "metrics_update", **data: Any) -> dict[str, Any]:
    """An event as SSE carries it."""
    return {"timestamp": NOW, "event_type": event_type, "job_id": JOB_ID, "attempt": 1, "seq": seq, "data": data}


def sse(*events: dict[str, Any]) -> bytes:
    """Events in SSE form."""
    lines = [f"id: {e['seq']}\nevent: {e['event_type']}\ndata: {json.dumps(e)}\n\n" for e in events]
    return "".join(lines).encode()


STREAM_END = b"event: stream_end\ndata: {}\n\n"


def open_stream(handler: BaseHTTPRequestHandler, *chunks: bytes) -> None:
    """An SSE answer whose connection is cut after the last chunk."""
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.end_headers()
    for chunk in chunks:
        handler.wfile.write(chunk)
    handler.close_connection = True
