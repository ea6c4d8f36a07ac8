"""The event log's append rules in memory, behind real HTTP; also takes hints, as the orchestrator would."""

import socket
import threading
from collections import defaultdict

import uvicorn
from fastapi import FastAPI

from shared.contracts.events import AppendRequest, NewEvent, ProducerMark, SealRequest
from shared.contracts.work import Hint
from shared.kit.error_handlers import install_error_handlers
from shared.kit.errors import InvalidRequest, ProducerSealed, SequenceGap
from tests.waiting import eventually


class StreamPeer:
    """Starts and stops on one port; what it accepted survives a stop."""

    def __init__(self) -> None:
        self.events: dict[str, list[NewEvent]] = defaultdict(list)
        self.seals: dict[str, int] = {}
        self.hints: list[str] = []
        self.appends = 0
        self.refused_text: str | None = None
        """Batches with this text in them are refused for good."""
        self.slow: str | None = None
        """This producer waits for its answers until `patience` is set."""
        self.patience = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._turn = threading.Lock()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens while it runs."""
        return f"http://127.0.0.1:{self.port}"

    def steps(self, producer: str) -> list[int]:
        """The training steps that arrived, in order."""
        return [int(str(e.data["step"])) for e in self.events[producer] if e.event_type == "metrics_update"]

    def mark(self, producer: str) -> ProducerMark:
        """How far a producer is."""
        through = len(self.events[producer])
        return ProducerMark(producer=producer, accepted_through=through, sealed_at=self.seals.get(producer))

    def append(self, request: AppendRequest) -> ProducerMark:
        """The log's rules: no hole, no repeat, nothing past the seal."""
        if request.producer == self.slow:
            self.patience.wait(30)
        with self._turn:
            self.appends += 1
            if self.refused_text is not None and self.refused_text in request.model_dump_json():
                raise InvalidRequest("this text is not welcome", param="events")
            have = len(self.events[request.producer])
            if request.first_seq > have + 1:
                raise SequenceGap("there is a hole", details={"expected": have + 1})
            if request.first_seq + len(request.events) - 1 > self.seals.get(request.producer, 1 << 60):
                raise ProducerSealed("this producer is sealed")
            self.events[request.producer] += request.events[have + 1 - request.first_seq :]
            return self.mark(request.producer)

    def start(self) -> None:
        """Serve from now on."""
        config = uvicorn.Config(self._app(), host="127.0.0.1", port=self.port, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        self._server, self._thread = server, threading.Thread(target=server.run, daemon=True)
        self._thread.start()
        eventually(lambda: server.started)

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(10)
            self._server = None

    def _app(self) -> FastAPI:
        app = FastAPI()
        install_error_handlers(app)

        @app.post("/v1/topics/{topic}/events")
        def append(topic: str, request: AppendRequest) -> ProducerMark:
            return self.append(request)

        @app.get("/v1/topics/{topic}/producers/{producer}")
        def mark(topic: str, producer: str) -> ProducerMark:
            return self.mark(producer)

        @app.put("/v1/topics/{topic}/producers/{producer}/seal")
        def seal(topic: str, producer: str, request: SealRequest) -> ProducerMark:
            self.seals.setdefault(producer, request.at)
            return self.mark(producer)

        @app.post("/internal/hints", status_code=202)
        def hint(nudge: Hint) -> None:
            self.hints.append(nudge.job_id)

        return app
