"""A webhook receiver on loopback that checks every signature with the reference library."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that came in."""

    message_id: str
    signatures: int
    payload: dict[str, Any]
    verified_by: list[str] = field(default_factory=list)


class Receiver:
    """Answers what it is told to, and remembers what it was sent."""

    def __init__(self, port: int = 0) -> None:
        self.heard: list[Heard] = []
        self.secrets: list[str] = []
        self.status: Callable[[Heard], int] = lambda _: 204
        self.headers: dict[str, str] = {}
        self.is_open = threading.Event()
        """Not set: requests hang."""
        self.is_open.set()
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                heard = receiver.take({key.lower(): value for key, value in self.headers.items()}, body)
                receiver.is_open.wait(60)
                self.send_response(receiver.status(heard))
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """The sender gave up; it may."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = int(self.server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def take(self, headers: dict[str, str], body: bytes) -> Heard:
        """Note a request, and which of the secrets verify it."""
        good = []
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                continue
            good.append(secret)
        heard = Heard(headers["webhook-id"], len(headers["webhook-signature"].split()), json.loads(body), good)
        with self.lock:
            self.heard.append(heard)
        return heard

    def told(self, job_id: str) -> list[str]:
        """The statuses it heard of a job, as they came."""
        return [one.payload["data"]["status"] for one in self.heard if one.payload["data"].get("jobId") == job_id]


@contextmanager
def serving(server: http.server.HTTPServer) -> Iterator[None]:
    """Serve from a thread meanwhile."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver that listens meanwhile."""
    receiver = Receiver(port)
    with serving(receiver.server):
        try:
            yield receiver
        finally:
            receiver.is_open.set()
